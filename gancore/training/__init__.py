"""The two-player training loop and what a run leaves behind."""
