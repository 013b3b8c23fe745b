"""Video GANs: the next frames of a clip (DVD-GAN-FP, TrIVD-GAN-FP) and whole clips of a class (DVD-GAN)."""
