"""Limits on the size of what files contain, checked by their headers before any content is decoded."""

from dataclasses import dataclass

from gancore.errors import UnreadableError


@dataclass(frozen=True, kw_only=True)
class ReadingLimits:
    """What a file of any kind may hold. The settings of every command that reads files extend these, so that each
    limit is a flag."""

    max_megapixels: float = 20.0
    """Pictures and frames of more megapixels are refused."""

    max_gigabytes: float = 4.0
    """Files and members of archives whose content takes more memory than this are refused."""

    max_members: int = 1_000_000
    """Archives, folders and lists of more entries are refused."""

    def check_pixels(self, height: int, width: int, name: object) -> None:
        """Raise ValueError, naming what is read, unless a frame of this size may be decoded."""
        _check(height * width / 1e6, self.max_megapixels, name, "megapixels a frame", "max_megapixels")

    def check_bytes(self, size: int, name: object) -> None:
        """Raise ValueError, naming what is read, unless content of this size may be read into memory."""
        _check(size / 1e9, self.max_gigabytes, name, "GB", "max_gigabytes")

    def check_members(self, count: int, name: object) -> None:
        """Raise ValueError, naming what is read, unless it may have this many entries."""
        _check(count, self.max_members, name, "entries", "max_members")


@dataclass(frozen=True, kw_only=True)
class VideoLimits(ReadingLimits):
    """What a file of videos may hold."""

    max_frames: int = 10_000_000
    """Videos of more frames are refused."""

    def check_frames(self, count: int, name: object) -> None:
        """Raise ValueError, naming what is read, unless a video may have this many frames."""
        _check(count, self.max_frames, name, "frames", "max_frames")


@dataclass(frozen=True, kw_only=True)
class ShapeLimits(ReadingLimits):
    """What a file of meshes or voxels may hold."""

    max_faces: int = 1_000_000
    """Meshes of more faces are refused; reading one takes a few hundred bytes of memory a face."""

    max_voxels: int = 512**3
    """Grids of more voxels are refused."""

    def check_faces(self, count: int, name: object) -> None:
        """Raise ValueError, naming what is read, unless a mesh may have this many faces."""
        _check(count, self.max_faces, name, "faces", "max_faces")

    def check_voxels(self, count: int, name: object) -> None:
        """Raise ValueError, naming what is read, unless a grid may have this many voxels."""
        _check(count, self.max_voxels, name, "voxels", "max_voxels")


def _check(found: float | int, limit: float | int, name: object, unit: str, flag: str) -> None:
    if found > limit:
        shown = f"{found:,.{10 if isinstance(found, int) else 4}g}"
        raise UnreadableError(f"{name} has {shown} {unit}, above the limit of {limit:,.10g}; {flag} lets it in")
