"""Zips of pictures: what lies in them, folder by folder, read into memory and never unpacked to disk."""

import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath

from gancore.errors import UnreadableError
from gancore.files.limits import VideoLimits
from gancore.files.reading import as_unreadable, require_regular_file

BYTES_PER_PIXEL = 16
"""No picture takes more bytes a pixel in its file, four channels of 32 bits."""
METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}
METHODS |= {getattr(zipfile, "ZIP_ZSTANDARD", zipfile.ZIP_STORED)}
"""Methods of compression that Python reads."""


@contextmanager
def open_zip(path: str, limits: VideoLimits) -> Iterator[zipfile.ZipFile]:
    """Opens a zip for reading; an error in it, now or later, becomes an UnreadableError."""
    require_regular_file(path)
    with as_unreadable(path, "a zip"), zipfile.ZipFile(path) as archive:
        limits.check_members(len(archive.infolist()), path)
        yield archive


def list_members(archive: zipfile.ZipFile, path: str) -> list[str]:
    """Names of the files in a zip that are not hidden.

    Raises UnreadableError if one of them is encrypted, compressed by a method that Python cannot read, or there twice.
    """
    infos = [info for info in archive.infolist() if not info.is_dir() and not _is_hidden(info.filename)]
    for info in infos:
        if info.flag_bits & 1:
            raise UnreadableError(f"cannot read {path} as a zip: {info.filename} is encrypted")
        if info.compress_type not in METHODS:
            raise UnreadableError(
                f"cannot read {path} as a zip: {info.filename} is compressed by method {info.compress_type}, which "
                "Python cannot read"
            )
    names = [info.filename for info in infos]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise UnreadableError(f"{path} holds two files called {twice[0]}")
    return names


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") and part not in (".", "..") for part in PurePosixPath(name).parts) or (
        "__MACOSX" in PurePosixPath(name).parts
    )


def read_member(archive: zipfile.ZipFile, name: str, path: str, limits: VideoLimits) -> bytes:
    """The content of a picture in a zip. Raises UnreadableError if it is longer than a picture can be."""
    size = archive.getinfo(name).file_size
    if size > limits.max_megapixels * 1e6 * BYTES_PER_PIXEL:
        raise UnreadableError(
            f"{name} in {path} has {size / 1e6:,.0f} MB, more than a picture of {limits.max_megapixels:g} megapixels; "
            "max_megapixels lets it in"
        )
    return archive.read(name)


def folder_of(name: str) -> str:
    """The folder around a member, without what would lead out of the zip; "." at its root."""
    parts = PurePosixPath(name.replace("\\", "/")).parts[:-1]
    return PurePosixPath(*(part for part in parts if part.strip("/") not in ("", ".."))).as_posix()
