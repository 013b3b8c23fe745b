"""Where the videos of a data set lie on disk, what class and group they are of, and which are held out."""

import csv
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Literal

from gancore.data import is_held_out
from vidgan.files.arrays import ARRAY_SUFFIXES, ArrayVideo, open_array_videos
from vidgan.files.readers import IMAGE_SUFFIXES, VIDEO_SUFFIXES, UnreadableError, natural_sort_key

Split = Literal["train", "test", "unused", ""]

UCF_PATTERN = re.compile(r"v_(?P<label>.+)_(?P<group>g\d+)_c\d+")
KTH_PATTERN = re.compile(r"person(?P<person>\d\d)_(?P<label>\w+?)_d\d")
KINETICS_PATTERN = re.compile(r".{11}_\d{6}_\d{6}")

SPLIT_FOLDERS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validate": "val",
    "validation": "val",
}
SPLIT_FOLDERS |= {"test": "test", "testing": "test", "mnist_test_seq": "test"}


@dataclass(frozen=True)
class VideoEntry:
    """A video, or frames `first` to `last` (excluded) of one; `name` is its path below the source."""

    path: str
    name: str
    label: str = ""
    group: str = ""
    """What never straddles a split by name; the name itself where empty."""
    split: Split = ""
    """What the data set itself says; empty where it says nothing."""
    start: int = 0
    stop: int | None = None
    array_video: ArrayVideo | None = None

    @property
    def stem(self) -> str:
        return PurePosixPath(self.name).stem


def find_videos(source: str, layout: str = "auto") -> list[VideoEntry]:
    """The videos of a file or folder in natural order.

    Raises FileNotFoundError if there is no such path, ValueError if nothing in it is a video.
    """
    root = Path(source)
    if not root.exists():
        raise FileNotFoundError(f"no such file or folder: {source}")
    names = (
        [root.name]
        if root.is_file()
        else sorted(list_candidates(root, strips=layout == "strips"), key=natural_sort_key)
    )
    if not names:
        wanted = "pictures" if layout == "strips" else "video, array, zip or picture"
        raise ValueError(
            f"no {wanted} in {source} ({' '.join(IMAGE_SUFFIXES if layout == 'strips' else VIDEO_SUFFIXES)} ...)"
        )
    if root.is_file():
        videos = [VideoEntry(source, root.name)]
    else:
        videos = [VideoEntry(str(root / name), root.resolve().name if name == "." else name) for name in names]
    return LAYOUTS[detect_layout(videos) if layout == "auto" else layout](root, videos)


def list_candidates(root: Path, *, strips: bool) -> Iterable[str]:
    """Every film, array and zip below the root, and every folder that holds pictures (or every picture, for strips)."""
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        below = Path(folder).relative_to(root)
        endings = {name: Path(name).suffix.lower() for name in files if not name.startswith(".")}
        pictures = [name for name, ending in endings.items() if ending in IMAGE_SUFFIXES]
        if strips:
            yield from ((below / name).as_posix() for name in pictures)
            continue
        if pictures:
            yield below.as_posix()
        yield from (
            (below / name).as_posix()
            for name, ending in endings.items()
            if ending in VIDEO_SUFFIXES or ending in ARRAY_SUFFIXES or ending == ".zip"
        )


def detect_layout(videos: list[VideoEntry]) -> str:
    """The layout that the names of most videos speak of."""
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


def apply_folder_layout(root: Path, videos: list[VideoEntry]) -> list[VideoEntry]:
    """Classes by the folder around each video; train, val and test by folders, or by train.txt and test.txt."""
    videos = [replace(video, label=label_from_path(video.name)) for video in videos]
    lists = {part: root / f"{part}.txt" for part in ("train", "test")}
    if any(path.is_file() for path in lists.values()):
        return split_by_lists(videos, **lists)
    return split_by_folders(videos)


def apply_ucf101_layout(root: Path, videos: list[VideoEntry]) -> list[VideoEntry]:
    """Split 1 of ucfTrainTestlist, inside the root or beside it; groups stay together where there is none."""
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
    rows = {}
    for path in sorted(root.glob("*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                name = f"{row['youtube_id']}_{int(row['time_start']):06d}_{int(row['time_end']):06d}"
                rows[name] = row.get("label") or "", SPLIT_FOLDERS.get(row.get("split") or path.stem, "unused")
    if not rows:
        return split_by_folders([replace(video, label=label_from_path(video.name)) for video in videos])
    videos = [video for video in videos if video.stem in rows]
    return assign_splits(
        [replace(video, label=rows[video.stem][0]) for video in videos], [rows[video.stem][1] for video in videos]
    )


def apply_kth_layout(root: Path, videos: list[VideoEntry]) -> list[VideoEntry]:
    """Persons 1 to 16 train, 17 to 25 are held out; 00sequences.txt cuts each video into its walks."""
    sequences: dict[str, list[tuple[int, int | None]]] = {}
    if (root / "00sequences.txt").is_file():
        for line in (root / "00sequences.txt").read_text(encoding="utf-8", errors="replace").splitlines():
            if KTH_PATTERN.match(line):
                sequences[line.split()[0]] = [(int(a) - 1, int(b)) for a, b in re.findall(r"(\d+)-(\d+)", line)]
    found = []
    for video in videos:
        if match := KTH_PATTERN.match(video.stem):
            part: Split = "train" if int(match["person"]) <= 16 else "test"
            whole = replace(video, label=match["label"], group=match["person"], split=part)
            for first, last in sequences.get(match[0]) or [(0, None)]:
                found.append(replace(whole, start=first, stop=last))
    return found


def apply_bair_layout(_: Path, videos: list[VideoEntry]) -> list[VideoEntry]:
    """Folders train and test of trajectories; of several cameras the main one, image_aux1."""
    main = [video for video in videos if PurePosixPath(video.name).name == "image_aux1"]
    return split_by_folders(main or videos)


def apply_strips_layout(root: Path, videos: list[VideoEntry]) -> list[VideoEntry]:
    """Pictures whose frames lie side by side; otherwise as any folder."""
    return apply_folder_layout(root, videos)


LAYOUTS: dict[str, Callable[[Path, list[VideoEntry]], list[VideoEntry]]] = {
    "folder": apply_folder_layout,
    "ucf101": apply_ucf101_layout,
    "kinetics600": apply_kinetics600_layout,
    "kth": apply_kth_layout,
    "bair": apply_bair_layout,
    "strips": apply_strips_layout,
}


def label_from_path(name: str) -> str:
    """The innermost folder around the video that is not one of train, val and test."""
    around = [part for part in PurePosixPath(name).parts[:-1] if part not in SPLIT_FOLDERS]
    return around[-1] if around else ""


def split_by_folders(videos: list[VideoEntry]) -> list[VideoEntry]:
    """Parts by folders or files called train, val or test."""
    return assign_splits(
        videos,
        [
            next(
                (
                    SPLIT_FOLDERS[part]
                    for part in (*PurePosixPath(video.name).parts, video.stem)
                    if part in SPLIT_FOLDERS
                ),
                "",
            )
            for video in videos
        ],
    )


def assign_splits(videos: list[VideoEntry], parts: list[str]) -> list[VideoEntry]:
    """The held-out part is val where there is one, else test; without either the data set is not split."""
    test = "val" if "val" in parts else "test"
    if test not in parts:
        return videos
    known: dict[str, Split] = {"train": "train", test: "test"}
    if "train" not in parts:
        known[""] = "train"
    return [replace(video, split=known.get(part, "unused")) for video, part in zip(videos, parts, strict=True)]


def split_by_lists(videos: list[VideoEntry], *, train: Path, test: Path) -> list[VideoEntry]:
    """Parts by lists of names; with one list alone, what it does not name is the other part."""
    rest: Split = "unused" if train.is_file() and test.is_file() else "test" if train.is_file() else "train"
    parts: dict[str, Split] = {video.name: rest for video in videos}
    lists: list[tuple[Path, Split]] = [(train, "train"), (test, "test")]
    for path, part in lists:
        if path.is_file():
            parts |= dict.fromkeys(find_listed(videos, path), part)
    return [replace(video, split=parts[video.name]) for video in videos]


def find_listed(videos: list[VideoEntry], path: Path) -> set[str]:
    """Names of the videos that a text file lists, one a line: by path or file name, with or without the ending.

    A number after the name, as UCF-101 has it, is passed over.
    """
    lines = {line.strip() for line in path.read_text(encoding="utf-8").splitlines()}
    lines |= {re.sub(r"\s+\d+$", "", line) for line in lines}
    return {
        video.name
        for video in videos
        for name in [PurePosixPath(video.name)]
        if not lines.isdisjoint({video.name, name.with_suffix("").as_posix(), name.name, name.stem})
    }


def select_split(
    videos: list[VideoEntry], *, train: bool, fraction: float, prefixes: tuple[str, ...], holdout_file: str
) -> list[VideoEntry]:
    """The training or the held-out videos.

    Told apart by a list or by how file names begin, else by the data set's own split, else by a hash of the group.
    Raises ValueError if list or names fit no video.
    """
    if holdout_file:
        if not Path(holdout_file).is_file():
            raise FileNotFoundError(f"no such split_file: {holdout_file}")
        held = find_listed(videos, Path(holdout_file))
        if not held:
            raise ValueError(f"{holdout_file} names none of the {len(videos)} videos")
    elif prefixes:
        held = {video.name for video in videos if PurePosixPath(video.name).name.startswith(prefixes)}
        if not held:
            raise ValueError(f"held_out_names: no file name begins with {' or '.join(prefixes)}")
    elif any(video.split for video in videos):
        return [video for video in videos if video.split == ("train" if train else "test")]
    else:
        held = {video.name for video in videos if is_held_out(video.group or video.name, fraction)}
    return [video for video in videos if (video.name not in held) == train]


def expand_array_files(videos: list[VideoEntry], channels: int) -> tuple[list[VideoEntry], list[str]]:
    """The videos, those inside array files one by one, and a line for each array file that cannot be read."""
    found, skipped = [], []
    for video in videos:
        if not video.path.lower().endswith(ARRAY_SUFFIXES):
            found.append(video)
            continue
        try:
            clips = open_array_videos(video.path, channels=channels)
        except UnreadableError as error:
            skipped.append(str(error))
            continue
        many = len(clips) > 1
        found += [
            replace(video, name=f"{video.name}#{clip.index}" if many else video.name, array_video=clip)
            for clip in clips
        ]
    return found, skipped
