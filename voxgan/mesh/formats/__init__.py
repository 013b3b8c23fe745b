"""A reader for each format of mesh files, and what they share."""
