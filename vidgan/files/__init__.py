"""Videos, image sequences and arrays: reading and writing."""
