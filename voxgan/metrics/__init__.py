"""Metrics of pairs of objects, and of two sets of objects."""
