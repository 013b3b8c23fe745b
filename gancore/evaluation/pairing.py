"""Pairs the files of another tool with the ground truth by name."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

NUMBERED_NAME = re.compile(r"(.+)[-/#](\d+)")
"""The name of one of several samples: NAME-0, NAME/0, or NAME#0 inside an array."""


@dataclass(frozen=True, kw_only=True)
class Pairing:
    """Which files belong to which item of the ground truth."""

    files: Mapping[str, tuple[str, ...]]
    """By the name of each item that has any: its files, samples in the order of their numbers."""
    missing: tuple[str, ...]
    """Items without a file."""
    unmatched: tuple[str, ...]
    """Files that belong to no item."""


def pair_by_name(
    files: Sequence[str], truth: Sequence[str], *, numbered_samples: bool = False, last_part: bool = False
) -> Pairing:
    """Pair file names, without their endings, with the names of the ground truth.

    Args:
        files: Names of the files.
        truth: Names of the items of the ground truth.
        numbered_samples: An item may have several files, NAME-0, NAME-1, ... or NAME/0, NAME/1, ...; a single file
            belongs to a single item whatever it is called.
        last_part: A file may be named by the last part of an item's name alone: chair for sofas/chair.

    Raises:
        ValueError: A name fits several items, or several files are named like one item that may have only one.
    """
    if numbered_samples and len(files) == len(truth) == 1:
        return Pairing(files={truth[0]: tuple(files)}, missing=(), unmatched=())
    known = set(truth)
    by_last_part = defaultdict(list)
    for name in truth:
        by_last_part[PurePosixPath(name).name].append(name)
    found: dict[str, list[tuple[int, str]]] = defaultdict(list)
    unmatched = []
    for name in files:
        numbered = NUMBERED_NAME.fullmatch(name) if numbered_samples else None
        fitting = by_last_part[PurePosixPath(name).name] if last_part else []
        if name in known:
            found[name].append((-1, name))
        elif numbered and numbered[1] in known:
            found[numbered[1]].append((int(numbered[2]), name))
        elif len(fitting) > 1:
            raise ValueError(f"{name} could be any of {list_names(fitting)}; name files by the whole id")
        elif fitting:
            found[fitting[0]].append((-1, name))
        else:
            unmatched.append(name)
    for name, samples in found.items():
        if len(samples) > 1 and not numbered_samples:
            raise ValueError(f"{list_names([file for _, file in samples])} are both named like {name}")
    return Pairing(
        files={name: tuple(file for _, file in sorted(found[name])) for name in truth if name in found},
        missing=tuple(name for name in truth if name not in found),
        unmatched=tuple(unmatched),
    )


def list_names(names: Sequence[str], count: int = 3) -> str:
    """Return the first names and how many more there are: "a, b, c and 7 more"."""
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(names[:count]) + more
