"""Measuring what a video model makes, or another tool made: metrics, baselines, sets of clips, one report."""
