"""Encoder, generators and discriminator."""
