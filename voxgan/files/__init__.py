"""Voxel grids and images: reading and writing."""
