"""Errors that several packages raise."""


class UnreadableError(ValueError):
    """A file whose content cannot be read; the message names the file and the reason."""
