"""Animating the figure in a picture by another's motion: training, evaluation, videos, and drawn skeletons."""
