"""Evaluating the clips of a video model, or of another tool: metrics, baselines, sets of clips, reports."""
