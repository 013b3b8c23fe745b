"""What a command makes of a clip, or of each clip in a folder, and where that goes."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from gancore.files.limits import VideoLimits
from gancore.files.outputs import check_outputs
from gancore.files.reading import split_member
from vidgan.data.layouts import VideoEntry, find_videos
from vidgan.files.array_files import ARRAY_SUFFIXES
from vidgan.files.image_sequence import is_image
from vidgan.files.pictures import has_pages
from vidgan.files.readers import IMAGE_SUFFIXES, VideoReader, sort_naturally
from vidgan.files.video import CLIP_SUFFIXES, check_clip_path


@dataclass(frozen=True)
class Conversion:
    """A clip, and where what is made of it goes."""

    name: str
    """Path below the folder in which it was found, or as it was given."""
    source: str
    """What `open_video` opens it by."""
    target: Path
    reader: VideoReader | None = None
    """The clip, where finding it has opened it."""


def plan_conversions(
    clip: Path, out: Path, *, overwrite: bool, limits: VideoLimits, each: bool = False, moving: bool = False
) -> list[Conversion]:
    """The conversion of one clip into `out`, or those of all clips in a folder into files or folders in it.

    Pictures in one folder are the frames of one clip, unless `each` is to be a clip. Results have the names of their
    clips and a suffix that can be written; arrays and folders of frames stay such unless something `moving` is made of
    everything. Decodes no film.

    Raises FileNotFoundError or ValueError if there is nothing to read, or something may not be written.
    """
    entries = list_clips(clip, limits, each=each)
    if not entries:
        check_clip_path(out, overwrite=overwrite)
        return [Conversion(str(clip), str(clip), out)]
    if out.suffix:
        raise ValueError(f"{clip} holds {len(entries)} clips: choose an output without a suffix, for a folder")
    named: dict[str, str] = {}
    conversions = []
    for entry in entries:
        target = out / _name_target(entry, limits, moving=moving)
        if other := named.get(str(target).lower()):
            raise ValueError(f"{entry.name} and {other} would both become {target}: rename one of them")
        named[str(target).lower()] = entry.name
        check_outputs([target], overwrite=overwrite, are_files=bool(target.suffix))
        check_clip_path(target, overwrite=overwrite)
        conversions.append(Conversion(entry.name, entry.address, target, entry.reader))
    return conversions


def list_clips(clip: Path, limits: VideoLimits, *, each: bool = False) -> list[VideoEntry]:
    """The clips in a folder; empty if this is a clip itself, as a file and a folder of frames are.

    Raises ValueError if nothing in a folder is a clip.
    """
    folder, _ = split_member(clip)
    entries = list(_find_clips(folder, limits, each=each)) if folder.is_dir() else []
    return [] if len(entries) == 1 and Path(entries[0].path) == folder else entries


def _find_clips(folder: Path, limits: VideoLimits, *, each: bool) -> Iterator[VideoEntry]:
    for entry in find_videos(folder, "folder", limits=limits):
        inside = Path(entry.path)
        if each and inside.is_dir():
            for picture in sort_naturally(path.name for path in inside.iterdir() if is_image(path.name)):
                path = inside / picture
                yield VideoEntry(str(path), path.relative_to(folder).as_posix())
        else:
            yield entry


def _name_target(entry: VideoEntry, limits: VideoLimits, *, moving: bool) -> PurePosixPath:
    """The name of a result: that of its clip, with a suffix that can be written."""
    name = PurePosixPath(entry.name)
    suffix = name.suffix.lower()
    if entry.reader is not None or Path(entry.path).is_dir():
        parts = [part.removesuffix(".zip").replace(".", "_") for part in name.parts]
        return PurePosixPath(*parts[:-1], f"{parts[-1]}.mp4" if moving else parts[-1])
    if suffix in IMAGE_SUFFIXES:
        return name.with_suffix(".mp4" if has_pages(entry.path, limits) else ".png")
    if suffix in ARRAY_SUFFIXES:
        return name.with_suffix(".mp4" if moving else ".npy")
    return name if suffix in CLIP_SUFFIXES else name.with_suffix(".mp4")
