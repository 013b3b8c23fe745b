"""From clip to clip: pairs to train on, objectives, validation, evaluation, and films of any length."""
