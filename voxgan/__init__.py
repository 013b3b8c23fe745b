"""Voxel GANs: objects from noise (3D-GAN) and from pictures (3D-VAE-GAN), and meshes from them."""
