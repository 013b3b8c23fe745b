"""Evaluation of a model of objects, or of another tool's objects: metrics, baselines, sets of objects, and a report."""
