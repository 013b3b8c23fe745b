"""Where the videos of a data set lie on disk, what class and group they are of, and which are held out."""

import csv
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Literal

from gancore.data import held_out
from vidgan.files.arrays import ARRAYS, ArrayClip, open_arrays
from vidgan.files.readers import FILMS, IMAGES, UnreadableError, natural

Part = Literal["train", "test", "unused", ""]

UCF = re.compile(r"v_(?P<label>.+)_(?P<group>g\d+)_c\d+")
KTH = re.compile(r"person(?P<person>\d\d)_(?P<label>\w+?)_d\d")
KINETICS = re.compile(r".{11}_\d{6}_\d{6}")

FOLDERS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validate": "val", "validation": "val"}
FOLDERS |= {"test": "test", "testing": "test", "mnist_test_seq": "test"}


@dataclass(frozen=True)
class Video:
    """A video, or frames `first` to `last` (excluded) of one; `name` is its path below the source."""

    path: str
    name: str
    label: str = ""
    group: str = ""
    """What never straddles a split by name; the name itself where empty."""
    part: Part = ""
    """What the data set itself says; empty where it says nothing."""
    first: int = 0
    last: int | None = None
    clip: ArrayClip | None = None

    @property
    def stem(self) -> str:
        return PurePosixPath(self.name).stem


def find_videos(source: str, layout: str = "auto") -> list[Video]:
    """The videos of a file or folder in natural order.

    Raises FileNotFoundError if there is no such path, ValueError if nothing in it is a video.
    """
    root = Path(source)
    if not root.exists():
        raise FileNotFoundError(f"no such file or folder: {source}")
    names = [root.name] if root.is_file() else sorted(candidates(root, strips=layout == "strips"), key=natural)
    if not names:
        wanted = "pictures" if layout == "strips" else "video, array, zip or picture"
        raise ValueError(f"no {wanted} in {source} ({' '.join(IMAGES if layout == 'strips' else FILMS)} ...)")
    if root.is_file():
        videos = [Video(source, root.name)]
    else:
        videos = [Video(str(root / name), root.resolve().name if name == "." else name) for name in names]
    return LAYOUTS[recognised(videos) if layout == "auto" else layout](root, videos)


def candidates(root: Path, *, strips: bool) -> Iterable[str]:
    """Every film, array and zip below the root, and every folder that holds pictures (or every picture, for strips)."""
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        below = Path(folder).relative_to(root)
        endings = {name: Path(name).suffix.lower() for name in files if not name.startswith(".")}
        pictures = [name for name, ending in endings.items() if ending in IMAGES]
        if strips:
            yield from ((below / name).as_posix() for name in pictures)
            continue
        if pictures:
            yield below.as_posix()
        yield from (
            (below / name).as_posix()
            for name, ending in endings.items()
            if ending in FILMS or ending in ARRAYS or ending == ".zip"
        )


def recognised(videos: list[Video]) -> str:
    """The layout that the names of most videos speak of."""
    tests: dict[str, Callable[[Video], object]] = {
        "ucf101": lambda video: UCF.fullmatch(video.stem),
        "kth": lambda video: KTH.match(video.stem),
        "kinetics600": lambda video: KINETICS.fullmatch(video.stem),
        "bair": lambda video: re.search(r"(^|/)(traj_\d|softmotion30)", video.name),
    }
    for layout, test in tests.items():
        if sum(bool(test(video)) for video in videos) > len(videos) / 2:
            return layout
    return "folder"


def folder(root: Path, videos: list[Video]) -> list[Video]:
    """Classes by the folder around each video; train, val and test by folders, or by train.txt and test.txt."""
    videos = [replace(video, label=folder_label(video.name)) for video in videos]
    lists = {part: root / f"{part}.txt" for part in ("train", "test")}
    if any(path.is_file() for path in lists.values()):
        return by_lists(videos, **lists)
    return by_folders(videos)


def ucf101(root: Path, videos: list[Video]) -> list[Video]:
    """Split 1 of ucfTrainTestlist, inside the root or beside it; groups stay together where there is none."""
    videos = [
        replace(video, label=match["label"], group=f"{match['label']}_{match['group']}")
        for video in videos
        if (match := UCF.fullmatch(video.stem))
    ]
    for lists in (root / "ucfTrainTestlist", root.parent / "ucfTrainTestlist", root):
        if (lists / "testlist01.txt").is_file():
            return by_lists(videos, train=lists / "trainlist01.txt", test=lists / "testlist01.txt")
    return videos


def kinetics600(root: Path, videos: list[Video]) -> list[Video]:
    """Folders train, val, test of class folders, or the CSV files (label, youtube_id, time_start, time_end, split)."""
    rows = {}
    for path in sorted(root.glob("*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                name = f"{row['youtube_id']}_{int(row['time_start']):06d}_{int(row['time_end']):06d}"
                rows[name] = row.get("label") or "", FOLDERS.get(row.get("split") or path.stem, "unused")
    if not rows:
        return by_folders([replace(video, label=folder_label(video.name)) for video in videos])
    videos = [video for video in videos if video.stem in rows]
    return settled(
        [replace(video, label=rows[video.stem][0]) for video in videos], [rows[video.stem][1] for video in videos]
    )


def kth(root: Path, videos: list[Video]) -> list[Video]:
    """Persons 1 to 16 train, 17 to 25 are held out; 00sequences.txt cuts each video into its walks."""
    sequences: dict[str, list[tuple[int, int | None]]] = {}
    if (root / "00sequences.txt").is_file():
        for line in (root / "00sequences.txt").read_text(encoding="utf-8", errors="replace").splitlines():
            if KTH.match(line):
                sequences[line.split()[0]] = [(int(a) - 1, int(b)) for a, b in re.findall(r"(\d+)-(\d+)", line)]
    found = []
    for video in videos:
        if match := KTH.match(video.stem):
            part: Part = "train" if int(match["person"]) <= 16 else "test"
            whole = replace(video, label=match["label"], group=match["person"], part=part)
            for first, last in sequences.get(match[0]) or [(0, None)]:
                found.append(replace(whole, first=first, last=last))
    return found


def bair(_: Path, videos: list[Video]) -> list[Video]:
    """Folders train and test of trajectories; of several cameras the main one, image_aux1."""
    main = [video for video in videos if PurePosixPath(video.name).name == "image_aux1"]
    return by_folders(main or videos)


def strips(root: Path, videos: list[Video]) -> list[Video]:
    """Pictures whose frames lie side by side; otherwise as any folder."""
    return folder(root, videos)


LAYOUTS: dict[str, Callable[[Path, list[Video]], list[Video]]] = {
    "folder": folder,
    "ucf101": ucf101,
    "kinetics600": kinetics600,
    "kth": kth,
    "bair": bair,
    "strips": strips,
}


def folder_label(name: str) -> str:
    """The innermost folder around the video that is not one of train, val and test."""
    around = [part for part in PurePosixPath(name).parts[:-1] if part not in FOLDERS]
    return around[-1] if around else ""


def by_folders(videos: list[Video]) -> list[Video]:
    """Parts by folders or files called train, val or test."""
    return settled(
        videos,
        [
            next((FOLDERS[part] for part in (*PurePosixPath(video.name).parts, video.stem) if part in FOLDERS), "")
            for video in videos
        ],
    )


def settled(videos: list[Video], parts: list[str]) -> list[Video]:
    """The held-out part is val where there is one, else test; without either the data set is not split."""
    test = "val" if "val" in parts else "test"
    if test not in parts:
        return videos
    known: dict[str, Part] = {"train": "train", test: "test"}
    if "train" not in parts:
        known[""] = "train"
    return [replace(video, part=known.get(part, "unused")) for video, part in zip(videos, parts, strict=True)]


def by_lists(videos: list[Video], *, train: Path, test: Path) -> list[Video]:
    """Parts by lists of names; with one list alone, what it does not name is the other part."""
    rest: Part = "unused" if train.is_file() and test.is_file() else "test" if train.is_file() else "train"
    parts: dict[str, Part] = {video.name: rest for video in videos}
    lists: list[tuple[Path, Part]] = [(train, "train"), (test, "test")]
    for path, part in lists:
        if path.is_file():
            parts |= dict.fromkeys(listed(videos, path), part)
    return [replace(video, part=parts[video.name]) for video in videos]


def listed(videos: list[Video], path: Path) -> set[str]:
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


def part_of(videos: list[Video], *, train: bool, share: float, names: tuple[str, ...], split_file: str) -> list[Video]:
    """The training or the held-out videos.

    Told apart by a list or by how file names begin, else by the data set's own split, else by a hash of the group.
    Raises ValueError if list or names fit no video.
    """
    if split_file:
        if not Path(split_file).is_file():
            raise FileNotFoundError(f"no such split_file: {split_file}")
        held = listed(videos, Path(split_file))
        if not held:
            raise ValueError(f"{split_file} names none of the {len(videos)} videos")
    elif names:
        held = {video.name for video in videos if PurePosixPath(video.name).name.startswith(names)}
        if not held:
            raise ValueError(f"held_out_names: no file name begins with {' or '.join(names)}")
    elif any(video.part for video in videos):
        return [video for video in videos if video.part == ("train" if train else "test")]
    else:
        held = {video.name for video in videos if held_out(video.group or video.name, share)}
    return [video for video in videos if (video.name not in held) == train]


def unfolded(videos: list[Video], channels: int) -> tuple[list[Video], list[str]]:
    """The videos, those inside array files one by one, and a line for each array file that cannot be read."""
    found, skipped = [], []
    for video in videos:
        if not video.path.lower().endswith(ARRAYS):
            found.append(video)
            continue
        try:
            clips = open_arrays(video.path, channels=channels)
        except UnreadableError as error:
            skipped.append(str(error))
            continue
        many = len(clips) > 1
        found += [
            replace(video, name=f"{video.name}#{clip.index}" if many else video.name, clip=clip) for clip in clips
        ]
    return found, skipped
