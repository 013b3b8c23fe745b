"""Degradations of clips, for training and testing restorers, and simple methods that undo them."""
