"""What a GAN needs whatever it draws: losses, layers, the training loop, its health, its metrics."""
