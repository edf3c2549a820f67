"""Properties of the elements; README.md gives the source of every column."""
