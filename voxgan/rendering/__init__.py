"""Cameras, ray casting and vertex colours."""
