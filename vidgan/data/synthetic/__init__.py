"""Clips rendered as they are read, in any number: moving cut-outs, falling bodies, sprites and puppets."""
