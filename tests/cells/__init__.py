"""The table of cells: what people write, each with what must become of it."""
