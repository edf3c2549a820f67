"""What ships trained: modes of the named property tables, and models."""
