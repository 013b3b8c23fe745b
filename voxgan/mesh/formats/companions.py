"""The files that a mesh file refers to: materials, buffers and textures, found however they are written."""

import io
import os
from itertools import product
from pathlib import Path, PureWindowsPath
from urllib.parse import unquote

from PIL import Image, UnidentifiedImageError

from gancore.errors import UnreadableError, describe_error
from gancore.files.limits import ShapeLimits
from gancore.files.pictures import open_header, readable_formats
from gancore.files.reading import require_regular_file
from voxgan.mesh.materials import MAX_TEXELS


class Companions:
    """Finds and reads what a mesh file refers to, below a root, and keeps account of it."""

    def __init__(self, path: Path, *, root: Path | None = None, limits: ShapeLimits) -> None:
        self.folder = path.parent
        self.root = root or path.parent
        self.limits = limits
        self.files: list[Path] = [path]
        """Every file that was read, the mesh file first."""
        self.missing: list[str] = []
        """What was referred to and could not be read, each with the reason."""
        self._listings: dict[Path, dict[str, str]] = {}

    def read(self, reference: str, folder: Path | None = None) -> bytes:
        """Return the content of a file, as `find` finds it.

        Raises UnreadableError, naming the reference, if it cannot be read.
        """
        path = self.find(reference, folder)
        try:
            self.limits.check_bytes(path.stat().st_size, reference)
            content = path.read_bytes()
        except OSError as error:
            raise UnreadableError(f"{reference!r} cannot be read: {error.strerror}") from error
        if path not in self.files:
            self.files.append(path)
        return content

    def read_optional(self, reference: str, folder: Path | None = None) -> bytes | None:
        """Return the content of a file that only colours depend on; None, and a line in `missing`, without it."""
        try:
            return self.read(reference, folder)
        except UnreadableError as error:
            self.report(str(error))
            return None

    def open_image(self, reference: str, folder: Path | None = None) -> Image.Image | None:
        """Return a texture, at most 4 * MAX_TEXELS a side; None, and a line in `missing`, if there is none."""
        content = self.read_optional(reference, folder)
        return None if content is None else self.decode_image(content, reference)

    def decode_image(self, content: bytes, name: str) -> Image.Image | None:
        """Return the picture in these bytes as `open_image` does."""
        try:
            with open_header(io.BytesIO(content), formats=readable_formats()) as image:
                image.draft(None, (4 * MAX_TEXELS, 4 * MAX_TEXELS))  # large JPEGs are never decoded at full size
                self.limits.check_pixels(image.height, image.width, name)
                image.thumbnail((4 * MAX_TEXELS, 4 * MAX_TEXELS))
                image.load()
            return image
        except UnreadableError as error:
            self.report(str(error))
        except UnidentifiedImageError:  # its own message holds an address in memory
            self.report(f"{name} cannot be read as a picture: it is of no format that is read")
        except Exception as error:  # Pillow raises errors of a dozen kinds
            self.report(f"{name} cannot be read as a picture: {describe_error(error)}")
        return None

    def report(self, reason: str) -> None:
        """Note what is missing, once."""
        if reason not in self.missing:
            self.missing.append(reason)

    def find(self, reference: str, folder: Path | None = None) -> Path:
        """Return the path of a regular file below the root, also if its name was written on another system.

        It is looked for from `folder`, where the file lies that refers to it, and then from that of the mesh.
        Backslashes, quotes, percent signs and another case are understood; a file of the same name beside the mesh
        stands in for one that is not where it should be. Raises UnreadableError, naming the reference, without one.
        """
        reason = "was not found"
        folders = dict.fromkeys((folder or self.folder, self.folder))
        for candidate, start in product(spellings(reference), folders):
            try:
                path = self._match_case(candidate, start)
                if not path.resolve().is_relative_to(self.root.resolve()):
                    reason = "lies outside of the data set"
                elif path.exists():
                    require_regular_file(path)
                    return path
            except UnreadableError:
                reason = "is not a regular file"
            except (OSError, RuntimeError):  # a name that is too long, or symbolic links in a circle
                continue
        raise UnreadableError(f"{reference!r} {reason}")

    def _match_case(self, relative: str, path: Path) -> Path:
        """The path that was meant if only the case of its letters is wrong; as it was given if there is none."""
        for part in Path(relative).parts:
            if part != ".." and not os.path.lexists(path / part):
                part = self._names_by_lower_case(path).get(part.lower(), part)
            path = path / part
        return path

    def _names_by_lower_case(self, folder: Path) -> dict[str, str]:
        if folder not in self._listings:
            inside = folder.resolve().is_relative_to(self.root.resolve()) and folder.is_dir()
            self._listings[folder] = {name.lower(): name for name in sorted(os.listdir(folder))} if inside else {}
        return self._listings[folder]


def spellings(reference: str) -> list[str]:
    """Return the relative paths that a reference may mean, the likeliest first."""
    plain = reference.strip().strip("\"'").strip()
    plain = plain.removeprefix("file:")
    found = []
    for text in (plain, unquote(plain)):
        for path in (text, text.replace("\\", "/")):
            windows = PureWindowsPath(path)
            if not (windows.drive or windows.root) and path:
                found.append(path)
    found += [name for text in (plain, unquote(plain)) if (name := PureWindowsPath(text).name)]
    return list(dict.fromkeys(name for name in found if "\0" not in name and len(name) < 4096))
