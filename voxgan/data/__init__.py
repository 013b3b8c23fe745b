"""Data sets of objects: layouts, preparation, splits."""
