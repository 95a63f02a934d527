"""Cells made up by a grammar, each run with and without the magic line and compared."""
