"""Splits of a data set, train, val and test: from folder names, from lists of names, or from a hash of each name."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from gancore.files.reading import read_text

Split = Literal["train", "val", "test"]

SPLITS: tuple[Split, ...] = ("train", "val", "test")

SPLIT_NAMES: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validate": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
"""What folders, list files and columns of tables call each split, in lower case."""


_FOLDER = re.compile(rf"({'|'.join(SPLIT_NAMES)})[ _-]?(set|data|videos?|clips?|frames?|images?)")


def split_from_folders(names: Iterable[str]) -> Split | None:
    """The split that the first of these folders stands for, in any case, also as train_set or testing_videos."""
    return next((split for split in map(split_from_folder, names) if split), None)


def split_from_folder(name: str) -> Split | None:
    """The split that a folder of this name stands for; None if it is a folder as any other."""
    match = _FOLDER.fullmatch(name.lower())
    return SPLIT_NAMES[match[1]] if match else SPLIT_NAMES.get(name.lower())


def split_of_unlisted(listed: Iterable[Split | None]) -> Split | None:
    """The split of items that no list names, given the splits of those listed: train unless there is a list for it.

    None means that they are left out.
    """
    return None if "train" in listed else "train"


def held_out_split(splits: Iterable[Split | None]) -> Split | None:
    """The split to measure on during training: val if any item is in it, else test, or None without either."""
    present = set(splits)
    return next((split for split in ("val", "test") if split in present), None)


def has_prefix(name: str, prefix: str) -> bool:
    """Whether the name begins with the prefix, where a number at its end is a whole one: person1 is not person10."""
    following = name[len(prefix) : len(prefix) + 1]
    return name.startswith(prefix) and not (prefix[-1:].isdecimal() and following.isdecimal())


# ------------------------------------------------------------------------------------------------------------- by hash


def is_held_out(name: str, fraction: float) -> bool:
    """Whether a hash of the name falls into this fraction of all hashes.

    The answer depends on the name alone: it stays the same when other items come or go, and an item held out at one
    fraction is held out at every larger one. To keep items together in one split, hash the name of their group.
    """
    return _hash_number(name) < fraction * 2**64


def choose_held_out(names: Iterable[str], fraction: float) -> set[str]:
    """The names held out by their hashes; of two names or more at least one, the one with the lowest hash."""
    names = set(names)
    held_out = {name for name in names if is_held_out(name, fraction)}
    if not held_out and fraction > 0 and len(names) > 1:
        held_out = {min(names, key=_hash_number)}
    return held_out


def split_by_hash(name: str, *, test: float, val: float = 0.0) -> Split:
    """The split of an item by a hash of its name, where `test` and `val` are fractions of all items."""
    return "test" if is_held_out(name, test) else "val" if is_held_out(name, test + val) else "train"


def divide_held_out(names: Iterable[str]) -> dict[str, Split]:
    """Divides held-out items between val and test: half of all hashes of their names each.

    Where that leaves a part empty, the item whose hash is nearest to the border changes sides, so that two or more
    items fill both parts; a single one is test. The hash is independent of that of `is_held_out`.
    """
    numbers = {name: _hash_number(f"val or test: {name}") for name in names}
    ranked = sorted(numbers, key=lambda name: (numbers[name], name))
    val = sum(number < 2**63 for number in numbers.values())
    val = min(max(val, 1), len(ranked) - 1) if len(ranked) > 1 else 0
    return {name: "val" if place < val else "test" for place, name in enumerate(ranked)}


def _hash_number(name: str) -> int:
    """A hash of the name, uniform in [0, 2^64)."""
    import hashlib  # loads OpenSSL, and commands that only parse do without

    return int.from_bytes(hashlib.blake2b(name.encode(errors="surrogatepass"), digest_size=8).digest(), "little")


# ------------------------------------------------------------------------------------------------------------ by lists


def parse_splits(content: Any) -> dict[str, Split]:
    """The split of each name, from the content of a JSON file in one of three forms.

    {"train": [names], "test": [names]}, {name: split}, or, as for the 3D-R2N2 set, a list of classes, each with such
    lists of names and a taxonomy_id that precedes its names as <taxonomy_id>/<name>. Raises ValueError for anything
    else.
    """
    try:
        return dict(_iterate_splits(content))
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError('not a list of splits; expected {"train": ["name", ...], "test": [...]}') from error


def _iterate_splits(content: Any) -> Iterator[tuple[str, Split]]:
    if isinstance(content, list):
        for group in content:
            for split in SPLITS:
                yield from ((f"{group['taxonomy_id']}/{name}", split) for name in group.get(split, ()))
        return
    for key, value in content.items():
        if isinstance(value, str):
            yield key, SPLIT_NAMES[value]
        else:
            yield from ((name, SPLIT_NAMES[key]) for name in value)


def read_name_list(path: Path) -> set[str]:
    """The names in a text file, one a line, each also without a number that follows it after a space (UCF-101).

    Raises FileNotFoundError, or UnreadableError if it is not a text in UTF-8 or UTF-16.
    """
    lines = {line.strip() for line in read_text(path, kind="a list of names").splitlines()} - {""}
    return lines | {_without_number(line) for line in lines}


def is_listed(name: str, listed: set[str]) -> bool:
    """Whether a list names the file, by its path or its file name, each with or without the suffix."""
    return not listed.isdisjoint(_spellings(name))


def list_absent(listed: set[str], names: Iterable[str]) -> list[str]:
    """What a list names that is none of the files, in alphabetical order; see `read_name_list` and `is_listed`."""
    spellings = {spelling for name in names for spelling in _spellings(name)}
    present = {entry for entry in listed if entry in spellings or _without_number(entry) in spellings}
    shortened = {_without_number(entry) for entry in listed if _without_number(entry) != entry}
    return sorted(listed - present - shortened)


def _spellings(name: str) -> set[str]:
    path = PurePosixPath(name)
    return {name, path.with_suffix("").as_posix(), path.name, path.stem}


def _without_number(entry: str) -> str:
    return re.sub(r"\s+\d+$", "", entry)
