"""Degradations of clips, to train restorers on and to spoil films with, and the simple methods that undo them."""
