"""Triangle meshes: reading, voxelising, surfaces, writing."""
