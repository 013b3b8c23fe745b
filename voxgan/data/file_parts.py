"""A file that several processes read in parts at once, and that may be truncated or replaced meanwhile."""

import errno
import io
import os
import weakref
from pathlib import Path
from typing import Any

from gancore.files.reading import as_unreadable, require_regular_file


class FileParts:
    """Random access to a file from several processes at once; the opened file is kept, even if its path is replaced."""

    def __init__(self, path: Path):
        require_regular_file(path)
        self.path = path
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self._descriptor)

    @property
    def size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def read(self, start: int, size: int) -> bytes:
        """`size` bytes from `start` on. Raises UnreadableError if the file does not have them."""
        with as_unreadable(self.path, "part of a data set"):
            content = os.pread(self._descriptor, size, start) if 0 <= start <= start + size <= self.size else b""
            if len(content) != size:
                raise ValueError("it was cut short")
        return content

    def open(self) -> io.BufferedReader:
        """The whole file, opened for reading with an independent position."""
        return io.BufferedReader(_Cursor(self))


class _Cursor(io.RawIOBase):
    """A reader with an independent position."""

    def __init__(self, parts: FileParts):
        self._parts, self._position = parts, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._parts.size}[whence]
        if start + offset < 0:
            raise OSError(errno.EINVAL, "a negative position")
        self._position = start + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        size = max(min(len(buffer), self._parts.size - self._position), 0)
        buffer[:size] = self._parts.read(self._position, size)
        self._position += size
        return size
