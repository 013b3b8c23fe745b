"""Lists what may be videos in a folder, its subfolders and zips, and what is left out."""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from gancore.errors import UnreadableError
from gancore.files.limits import VideoLimits
from vidgan.data.cache import PROBES_FILE
from vidgan.files.archives import list_members, open_zip
from vidgan.files.arrays import ARRAY_SUFFIXES
from vidgan.files.image_sequence import ImageSequence, are_videos, group_by_folder, is_image, open_image_sequence
from vidgan.files.readers import VIDEO_SUFFIXES

GROUND_TRUTH_BESIDE = {
    "annotations": "jpegimages",  # DAVIS, YouTube-VOS
    "groundtruth": "input",  # CDnet
    "test_frame_mask": "frames",  # ShanghaiTech
    "test_pixel_mask": "frames",
    "testing_label_mask": "testing_videos",  # Avenue
}
"""Folders of masks, each recognised by a folder of videos beside it, in lower case."""
COMPANIONS = {
    ".txt",
    ".csv",
    ".tsv",
    ".json",
    ".jsonl",
    ".xml",
    ".yaml",
    ".yml",
    ".md",
    ".html",
    ".pdf",
    ".srt",
    ".vtt",
}
"""Suffixes of texts and tables beside videos, which are left out without a word."""


@dataclass(frozen=True)
class Candidate:
    """A possible video: a file, a folder of pictures, or the pictures in a folder of a zip."""

    name: str
    """Path below the source; "." for the source itself."""
    path: str
    reader: ImageSequence | None = None
    """The pictures, for those in a zip."""


@dataclass
class Listing:
    """The candidates of a folder, and the entries that are left out, with reasons."""

    candidates: list[Candidate] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def list_candidates(root: Path, *, strips: bool, limits: VideoLimits, exclude: Path | None = None) -> Listing:
    """Lists video files, arrays, folders of pictures (also in zips) and multi-page pictures; with `strips` pictures.

    Hidden files, masks of known layouts, run folders, caches and the folder `exclude` are left out. Raises
    UnreadableError if there are more entries than the limits allow.
    """
    listing, count = Listing(), 0
    problems: list[OSError] = []
    for folder, folders, files in os.walk(root, onerror=problems.append, followlinks=True):
        count += len(folders) + len(files)
        limits.check_members(count, root)
        below = Path(folder).relative_to(root)
        if own := _describe_own_folder(folders, files, Path(folder), root, exclude):
            listing.left_out.append(f"{below.as_posix()} ({own})")
            folders.clear()
            continue
        folders[:] = _choose_folders(folders, Path(folder), below, listing)
        files = sorted(name for name in files if not name.startswith("."))
        _add_files(files, Path(folder), below, listing, strips=strips, limits=limits)
    listing.left_out += [f"{error.filename} ({error.strerror})" for error in problems]
    return listing


def _describe_own_folder(folders: list[str], files: list[str], folder: Path, root: Path, exclude: Path | None) -> str:
    """What the folder is if this package wrote it, such as "a run folder"; "" for data."""
    names = set(files) | set(folders)
    if exclude and exclude.exists() and os.path.samefile(folder, exclude):
        return "the cache"
    if folder == root:
        return ""
    if PROBES_FILE in files:
        return "a cache"
    if "config.json" in files and names & {"stats.jsonl", "generator", "best"}:
        return "a run folder"
    return "a report" if {"report.json", "report.html"} <= names else ""


def _choose_folders(folders: list[str], folder: Path, below: Path, listing: Listing) -> list[str]:
    """The folders to look into."""
    siblings = {name.lower() for name in folders}
    chosen = []
    for name in folders:
        if name.startswith("."):
            continue
        lower = name.lower()
        if lower.removesuffix("_gt") in siblings - {lower} or GROUND_TRUTH_BESIDE.get(lower) in siblings:
            listing.left_out.append(f"{(below / name).as_posix()} (masks)")
        elif os.path.islink(folder / name) and _leads_back(folder, name):
            listing.left_out.append(f"{(below / name).as_posix()} (a link to a folder around it)")
        else:
            chosen.append(name)
    return chosen


def _leads_back(folder: Path, link: str) -> bool:
    """Whether a link leads to a folder around it, which would make the walk endless."""
    target = os.path.realpath(folder / link).rstrip("/") + "/"
    return any(f"{os.path.realpath(each)}/".startswith(target) for each in (folder, *folder.parents))


def _add_files(
    files: list[str], folder: Path, below: Path, listing: Listing, *, strips: bool, limits: VideoLimits
) -> None:
    files = [name for name in files if not re.fullmatch(r"(.*\.)?actions\.npy", name, re.IGNORECASE | re.DOTALL)]
    images = [name for name in files if is_image(name)]
    alone = [] if strips else [name for name in files if name.lower().endswith((*VIDEO_SUFFIXES, *ARRAY_SUFFIXES))]
    zips = [] if strips else [name for name in files if name.lower().endswith(".zip")]
    if strips or are_videos(folder, images, limits):
        alone += images
    elif images:
        listing.candidates.append(Candidate(below.as_posix(), str(folder)))
    listing.candidates += [Candidate((below / name).as_posix(), str(folder / name)) for name in alone]
    for name in zips:
        listing.candidates += look_into_zip(str(folder / name), (below / name).as_posix(), listing, limits)
    known = {*images, *alone, *zips}
    rest = [name for name in files if name not in known and PurePosixPath(name).suffix.lower() not in COMPANIONS]
    listing.left_out += [(below / name).as_posix() for name in rest]


def look_into_zip(path: str, name: str, listing: Listing, limits: VideoLimits) -> Iterator[Candidate]:
    """The folders of pictures in a zip, each a candidate; the zip itself if there is only one, or it is broken."""
    try:
        with open_zip(path, limits) as archive:
            members = list_members(archive, path)
        others = [each for each in members if each.lower().endswith((*VIDEO_SUFFIXES, *ARRAY_SUFFIXES, ".zip"))]
        listing.left_out += [f"{name}/{each} (only pictures are read from a zip: unpack it)" for each in others]
        opened = {
            inside: open_image_sequence(path, names, limits=limits)
            for inside, names in group_by_folder(members).items()
        }
    except (UnreadableError, FileNotFoundError):
        opened = {}
    if len(opened) < 2:
        yield Candidate(name, path, next(iter(opened.values()), None))
    else:
        yield from (Candidate(f"{name}/{inside}", path, reader) for inside, reader in opened.items())


def describe_left_out(left_out: Iterable[str]) -> str:
    """A line that counts and names what is left out."""
    names = [re.sub(r"\s", " ", name) for name in left_out]
    return f"entries left out ({len(names)}): {'; '.join(names[:20])}{' ...' if len(names) > 20 else ''}"
