"""Distances and similarities of two objects, and of two sets of objects."""
