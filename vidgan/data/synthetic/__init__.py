"""Clips without end, rendered as they are read: cut-outs that move over plates, and bodies that fall and are pushed."""
