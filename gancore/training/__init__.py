"""The two-player training loop, and the logs, checkpoints and pages that a run leaves behind."""
