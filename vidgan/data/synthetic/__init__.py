"""Clips without end, rendered as they are read: cut-outs that move, bodies that fall, and puppets."""
