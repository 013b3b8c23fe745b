"""Files: one door for reading, one for writing, limits, locks, pictures and animations."""
