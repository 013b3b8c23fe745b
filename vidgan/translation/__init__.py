"""Translating clips into clips: training pairs, objectives, validation, evaluation, and videos of any length."""
