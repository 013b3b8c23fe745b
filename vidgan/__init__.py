"""Video GANs: the next frames of a clip (DVD-GAN-FP, TriVD-GAN-FP) and whole clips of a class (DVD-GAN)."""
