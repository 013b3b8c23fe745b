"""Files of voxels and images: reading and writing."""
