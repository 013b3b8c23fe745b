"""Where the videos of a data set lie on disk, which class and group each belongs to, and which are held out."""

import csv
import logging
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

from gancore.errors import UnreadableError
from gancore.files.limits import VideoLimits
from gancore.files.reading import as_unreadable, require_regular_file, split_member
from gancore.splits import (
    SPLIT_NAMES,
    Split,
    choose_held_out,
    has_prefix,
    is_listed,
    list_absent,
    read_name_list,
    split_from_folder,
    split_from_folders,
    split_of_unlisted,
)
from vidgan.data.listing import Candidate, Listing, describe_left_out, list_candidates, look_into_zip
from vidgan.files.arrays import ARRAY_SUFFIXES, open_array_videos
from vidgan.files.readers import (
    DEFAULT_LIMITS,
    IMAGE_SUFFIXES,
    VIDEO_SUFFIXES,
    VideoReader,
    natural_sort_key,
)

log = logging.getLogger(__name__)

UCF_PATTERN = re.compile(r"v_(?P<label>.+)_(?P<group>g\d+)_c\d+")
KTH_PATTERN = re.compile(r"person(?P<person>\d\d)_(?P<label>\w+?)_d\d")
KINETICS_PATTERN = re.compile(r".{11}_\d{6}_\d{6}")

MNIST_TEST_FILE = "mnist_test_seq"
"""Name of the published test set of Moving MNIST, which is never trained on."""


@dataclass(frozen=True)
class VideoEntry:
    """A video of a data set, or frames `start` to `stop` (excluded) of one."""

    path: str
    name: str
    """Path below the source, with the folder inside a zip, and #number for one of several videos in an array file."""
    label: str | None = None
    """Name of its class; None if unknown."""
    group: str | None = None
    """Videos of one group are never divided between training and held-out data; None for a group of its own."""
    split: Split | Literal["unused"] | None = None
    """The data set's own split: "unused" for a video that it puts in no split, None if it defines no splits."""
    start: int = 0
    stop: int | None = None
    reader: VideoReader | None = None
    """The video, where finding it has opened it."""
    member: str | None = None
    """Name of the array, the folder of a zip or the film that was chosen inside the file."""

    @property
    def address(self) -> str:
        """What `open_video` opens it by: its path, or FILE::NAME."""
        return self.path if self.member is None else f"{self.path}::{self.member}"

    @property
    def stem(self) -> str:
        """The file name without its suffix."""
        return PurePosixPath(self.name).stem


def find_videos(
    source: str | Path, layout: str = "auto", *, limits: VideoLimits = DEFAULT_LIMITS, exclude: Path | None = None
) -> list[VideoEntry]:
    """Lists the videos of a file or folder in natural order, with the classes and splits that its layout defines.

    What else lies there, but for texts and tables, is left out with one warning, and so is the folder `exclude`. A
    source FILE::NAME is one of several arrays, folders of a zip or films in a file.

    Raises FileNotFoundError if the path does not exist, ValueError if nothing in it is a video.
    """
    root, member = split_member(source)
    listing = Listing()
    if not root.exists():
        raise FileNotFoundError(f"no such file or folder: {source}")
    if root.is_dir():
        listing = list_candidates(root, strips=layout == "strips", limits=limits, exclude=exclude)
    elif member is None and root.suffix.lower() == ".zip":
        listing.candidates = list(look_into_zip(str(root), root.name, listing, limits))
    else:
        require_regular_file(root)
        listing.candidates = [Candidate(root.name if member is None else f"{root.name}::{member}", str(root))]
    if listing.left_out:
        _warn_once(f"{source}: {describe_left_out(listing.left_out)}")
    if not listing.candidates:
        wanted = "image" if layout == "strips" else "video, array, zip or image"
        suffixes = IMAGE_SUFFIXES if layout == "strips" else VIDEO_SUFFIXES[:5]
        raise ValueError(f"no {wanted} in {source} ({' '.join(suffixes)} ...)")
    found = sorted(listing.candidates, key=lambda each: natural_sort_key(each.name))
    videos = [
        VideoEntry(each.path, root.resolve().name if each.name == "." else each.name, reader=each.reader, member=member)
        for each in found
    ]
    return LAYOUTS[detect_layout(videos) if layout == "auto" else layout](root, videos)


@cache
def _warn_once(message: str) -> None:
    """The splits of a data set are opened one by one: what they share is said once."""
    log.warning(message)


def _warn_of_absent(source: str, names: list[str]) -> None:
    """Says that a list names what is not there: what a name was misspelt for may lie in another split."""
    if names:
        more = f" and {len(names) - 10} more" if len(names) > 10 else ""
        _warn_once(f"{source} no video for {', '.join(names[:10])}{more}")


def detect_layout(videos: list[VideoEntry]) -> str:
    """The layout whose naming scheme most of the videos follow; "folder" if there is none."""
    tests: dict[str, Callable[[VideoEntry], object]] = {
        "ucf101": lambda video: UCF_PATTERN.fullmatch(video.stem),
        "kth": lambda video: KTH_PATTERN.match(video.stem),
        "kinetics600": lambda video: KINETICS_PATTERN.fullmatch(video.stem),
        "bair": lambda video: re.search(r"(^|/)(traj_\d|softmotion30)", video.name),
    }
    for layout, test in tests.items():
        if sum(bool(test(video)) for video in videos) > len(videos) / 2:
            return layout
    return "folder"


# ------------------------------------------------------------------------------------------------------------- layouts


def apply_folder_layout(root: Path, videos: list[VideoEntry]) -> list[VideoEntry]:
    """Classes by the folder around each video; splits by folders called train, val, test, or train.txt and test.txt."""
    videos = [replace(video, label=label_from_path(video.name)) for video in videos]
    train, test = find_list(root, "train.txt"), find_list(root, "test.txt")
    if train.is_file() or test.is_file():
        return split_by_lists(videos, train=train, test=test)
    return split_by_folders(videos)


def apply_ucf101_layout(root: Path, videos: list[VideoEntry]) -> list[VideoEntry]:
    """Split 1 of ucfTrainTestlist, inside the root or next to it; without the lists, groups stay together."""
    videos = [
        replace(video, label=match["label"], group=f"{match['label']}_{match['group']}")
        for video in videos
        if (match := UCF_PATTERN.fullmatch(video.stem))
    ]
    for lists in (root / "ucfTrainTestlist", root.parent / "ucfTrainTestlist", root):
        if (lists / "testlist01.txt").is_file():
            return split_by_lists(videos, train=lists / "trainlist01.txt", test=lists / "testlist01.txt")
    return videos


def apply_kinetics600_layout(root: Path, videos: list[VideoEntry]) -> list[VideoEntry]:
    """Folders train, val, test of class folders, or the CSV files (label, youtube_id, time_start, time_end, split)."""
    rows = dict(row for path in sorted(root.glob("*.csv")) for row in read_kinetics_list(path))
    if not rows:
        return split_by_folders([replace(video, label=label_from_path(video.name)) for video in videos])
    videos = [replace(video, label=rows[video.stem][0]) for video in videos if video.stem in rows]
    return assign_splits(videos, [rows[video.stem][1] for video in videos])


def read_kinetics_list(path: Path) -> Iterator[tuple[str, tuple[str | None, Split | Literal["unused"]]]]:
    """Yields (name of the clip, (class, split)) for each row; nothing for a table without the columns of the data set.

    Rows that cannot be read are left out with one warning. Raises UnreadableError if the file is no table.
    """
    require_regular_file(path)
    broken = []
    with as_unreadable(path, "a table"), path.open(newline="", encoding="utf-8-sig") as file:
        table = csv.DictReader(file)
        if not {"youtube_id", "time_start", "time_end"} <= set(table.fieldnames or ()):
            _warn_once(f"{path} is no list of Kinetics (label, youtube_id, time_start, time_end, split): left out")
            return
        for row in table:
            split = row.get("split") or path.stem
            try:
                name = f"{row['youtube_id']}_{int(row['time_start']):06d}_{int(row['time_end']):06d}"
            except (TypeError, ValueError):
                broken.append(str(table.line_num))
                continue
            yield name, (row.get("label") or None, SPLIT_NAMES.get(split.lower(), "unused"))
    if broken:
        _warn_once(f"{path}: {len(broken)} rows cannot be read, in lines {', '.join(broken[:10])}")


def apply_kth_layout(root: Path, videos: list[VideoEntry]) -> list[VideoEntry]:
    """Persons 1 to 16 are for training, 17 to 25 for testing; 00sequences.txt cuts each video into its sequences."""
    sequences: dict[str, list[tuple[int, int | None]]] = {}
    table = root / "00sequences.txt"
    if table.is_file():
        with as_unreadable(table, "a list of sequences"):
            for line in table.read_text(encoding="utf-8", errors="replace").splitlines():
                if KTH_PATTERN.match(line):
                    ranges = re.findall(r"(\d+)-(\d+)", line)
                    sequences[line.split()[0]] = [(max(0, int(a) - 1), int(b)) for a, b in ranges]
    entries = []
    for video in videos:
        if match := KTH_PATTERN.match(video.stem):
            split: Split = "train" if int(match["person"]) <= 16 else "test"
            whole = replace(video, label=match["label"], group=match["person"], split=split)
            for start, stop in sequences.get(match[0]) or [(0, None)]:
                entries.append(replace(whole, start=start, stop=stop))
    return entries


def apply_bair_layout(_: Path, videos: list[VideoEntry]) -> list[VideoEntry]:
    """Folders train and test of trajectories; of several cameras only the main one, image_aux1."""
    main = [video for video in videos if PurePosixPath(video.name).name == "image_aux1"]
    return split_by_folders(main or videos)


LAYOUTS: dict[str, Callable[[Path, list[VideoEntry]], list[VideoEntry]]] = {
    "folder": apply_folder_layout,
    "ucf101": apply_ucf101_layout,
    "kinetics600": apply_kinetics600_layout,
    "kth": apply_kth_layout,
    "bair": apply_bair_layout,
    "strips": apply_folder_layout,
}


def label_from_path(name: str) -> str | None:
    """The name of the innermost folder around the video that does not stand for a split; None if there is none."""
    folders = [part for part in PurePosixPath(name).parts[:-1] if not part.lower().endswith(".zip")]
    return next((part for part in reversed(folders) if not split_from_folder(part) and part != MNIST_TEST_FILE), None)


# -------------------------------------------------------------------------------------------------------------- splits


def split_by_folders(videos: list[VideoEntry]) -> list[VideoEntry]:
    """Splits by folders or files called train, val or test, or as SPLIT_NAMES has it, or by folders like test_set."""
    splits = [_split_from_path(PurePosixPath(video.name)) for video in videos]
    rest = split_of_unlisted(splits)
    return assign_splits(videos, [split or rest or "unused" for split in splits])


def _split_from_path(path: PurePosixPath) -> Split | None:
    names = [re.sub(r"\.zip$", "", part, flags=re.IGNORECASE) for part in (*path.parts, path.stem)]
    if MNIST_TEST_FILE in names:
        return "test"
    folders, own = names[: len(path.parts) - 1], names[len(path.parts) - 1 :]
    return split_from_folders(folders) or next(
        (SPLIT_NAMES[each.lower()] for each in own if each.lower() in SPLIT_NAMES), None
    )


def assign_splits(videos: list[VideoEntry], splits: list[Split | Literal["unused"]]) -> list[VideoEntry]:
    """The videos with their splits; without them if none is in val or test, so that some are still held out."""
    if not {"val", "test"} & set(splits):
        return videos
    return [replace(video, split=split) for video, split in zip(videos, splits, strict=True)]


def find_list(root: Path, name: str) -> Path:
    """The file of this name in the folder, in upper or lower case."""
    if root.is_dir():
        return next((root / each for each in sorted(os.listdir(root)) if each.lower() == name), root / name)
    return root / name


def split_by_lists(videos: list[VideoEntry], *, train: Path, test: Path) -> list[VideoEntry]:
    """Splits by text files of names; if there is only one, the videos that it does not name are the other split."""
    rest: Split | Literal["unused"] = (
        "unused" if train.is_file() and test.is_file() else "test" if train.is_file() else "train"
    )
    listed = {
        split: read_name_list(path) if path.is_file() else set() for split, path in (("test", test), ("train", train))
    }
    for split, path in (("test", test), ("train", train)):
        _warn_of_absent(f"{path}:", list_absent(listed[split], (video.name for video in videos)))
    return [
        replace(video, split=next((split for split in ("test", "train") if is_listed(video.name, listed[split])), rest))
        for video in videos
    ]


class Selection(NamedTuple):
    """The videos of a split."""

    videos: list[VideoEntry]
    undivided: bool = False
    """Whether these are all held-out videos, which are still to be divided between val and test."""


def select_split(
    videos: list[VideoEntry],
    *,
    split: Split,
    fraction: float,
    prefixes: tuple[str, ...],
    holdout_file: str | Path | None,
) -> Selection:
    """The videos of a split.

    Held out are those that the text file lists, or whose file names start with one of the prefixes; without either the
    data set's own val and test splits; without splits a fraction of all, by a hash of each video's group, and of two
    groups or more at least one.

    The data set's own test split is never divided: where it has no val split of its own, its val is its test split.
    Its own val split is divided where it has no test split, and so are held-out videos that were chosen in any other
    way, unless the fraction is 1: then nothing is left to train on, and all videos are test.

    Raises FileNotFoundError if there is no such text file, ValueError if it or the prefixes match no video.
    """
    train = split == "train"
    if holdout_file:
        if not Path(holdout_file).is_file():
            raise FileNotFoundError(f"no such holdout_file: {holdout_file}")
        listed = read_name_list(Path(holdout_file))
        held_out = {video.name for video in videos if is_listed(video.name, listed)}
        if not held_out:
            raise ValueError(f"holdout_file: {holdout_file} names none of the {len(videos)} videos")
        _warn_of_absent(f"holdout_file {holdout_file}:", list_absent(listed, (video.name for video in videos)))
    elif prefixes:
        names = {video.name: PurePosixPath(video.name).name for video in videos}
        held_out = {whole for whole, name in names.items() if any(has_prefix(name, each) for each in prefixes)}
        if not held_out:
            raise ValueError(f"holdout_prefixes: no file name begins with {' or '.join(prefixes)}")
        unused = [each for each in prefixes if not any(has_prefix(name, each) for name in names.values())]
        _warn_of_absent("holdout_prefixes:", unused)
    elif declared := {video.split for video in videos} - {None}:
        wanted = split if split in declared else {"train": None, "val": "test", "test": "val"}[split]
        undivided = not train and "test" not in declared
        return Selection([video for video in videos if video.split and video.split == wanted], undivided)
    else:
        groups = choose_held_out({video.group or video.name for video in videos}, fraction)
        held_out = {video.name for video in videos if (video.group or video.name) in groups}
        if fraction == 1:
            return Selection([] if train else videos)
    return Selection([video for video in videos if (video.name not in held_out) == train], undivided=not train)


def expand_array_files(
    videos: list[VideoEntry], channels: int, *, limits: VideoLimits = DEFAULT_LIMITS
) -> tuple[list[VideoEntry], list[str]]:
    """Replaces each array file by the videos in it; also returns why array files could not be read, a line for each."""
    expanded, problems = [], []
    for video in videos:
        if not video.path.lower().endswith(ARRAY_SUFFIXES) or Path(video.path).is_dir():
            expanded.append(video)
            continue
        try:
            readers = open_array_videos(video.path, channels=channels, name=video.member, limits=limits)
        except FileNotFoundError:
            problems.append(f"{video.path} is gone, or a link to nothing")
            continue
        except UnreadableError as error:
            problems.append(str(error))
            continue
        many = len(readers) > 1
        expanded += [
            replace(video, name=f"{video.name}#{each.index}" if many else video.name, reader=each) for each in readers
        ]
    return expanded, problems
