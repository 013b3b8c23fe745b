"""Data sets of clips: layouts, splits, cache, moving digits."""
