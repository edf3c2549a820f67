"""Properties of the elements; README.md lists the source of every column."""
