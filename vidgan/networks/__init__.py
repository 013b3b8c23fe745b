"""Generators, discriminators and their parts."""
