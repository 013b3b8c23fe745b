"""Measuring what a model of objects makes, or another tool made: metrics, baselines, sets of objects, one report."""
