"""Spoils films, pictures and folders of them, for the command of that name."""

import logging
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from gancore.errors import UnreadableError
from gancore.files.outputs import check_outputs
from gancore.files.reading import split_member
from gancore.rng import derive_seed
from vidgan.commands import DegradeConfig
from vidgan.data.layouts import VideoEntry, find_videos
from vidgan.degradations.kinds import degrade, parse_chain
from vidgan.files.array_files import ARRAY_SUFFIXES
from vidgan.files.readers import IMAGE_SUFFIXES, VideoReader
from vidgan.files.video import CLIP_SUFFIXES, check_clip_path, open_video, write_clip

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Work:
    """A clip to spoil, and where the spoilt one goes."""

    source: str
    reader: VideoReader | None
    """The clip, where finding it has opened it."""
    target: Path
    seed: int


def plan(config: DegradeConfig) -> list[Work]:
    """What there is to do: one clip, or each of those in a folder of them. Decodes nothing yet.

    Raises FileNotFoundError or ValueError if there is nothing to read, the kind is unknown, or something may not be
    written.
    """
    parse_chain(config.kind)
    folder, _ = split_member(config.clip)
    entries = find_videos(folder, "folder", limits=config) if folder.is_dir() else []
    if not entries or (len(entries) == 1 and Path(entries[0].path) == folder):
        check_clip_path(config.out, overwrite=config.overwrite)
        return [Work(str(config.clip), None, config.out, config.seed)]
    if config.out.suffix:
        raise ValueError(f"{config.clip} holds {len(entries)} clips: choose an output without a suffix, for a folder")
    targets: dict[str, VideoEntry] = {}
    works = []
    for entry in entries:
        target = config.out / _name_target(entry, config)
        if other := targets.get(str(target).lower()):
            raise ValueError(f"{entry.name} and {other.name} would both become {target}: rename one of them")
        targets[str(target).lower()] = entry
        check_outputs([target], overwrite=config.overwrite, are_files=bool(target.suffix))
        check_clip_path(target, overwrite=config.overwrite)
        seed = derive_seed(config.seed, zlib.crc32(entry.name.encode()))
        works.append(Work(entry.address, entry.reader, target, seed))
    return works


def _name_target(entry: VideoEntry, config: DegradeConfig) -> PurePosixPath:
    """The name of a spoilt clip: that of the clip, with a suffix that can be written."""
    name = PurePosixPath(entry.name)
    suffix = name.suffix.lower()
    if entry.reader is not None or Path(entry.path).is_dir():
        return PurePosixPath(*(part.removesuffix(".zip").replace(".", "_") for part in name.parts))
    if suffix in IMAGE_SUFFIXES:
        return name.with_suffix(".png" if open_video(entry.address, limits=config).frames == 1 else ".mp4")
    if suffix in ARRAY_SUFFIXES:
        return name.with_suffix(".npy")
    return name if suffix in CLIP_SUFFIXES else name.with_suffix(".mp4")


def spoil(work: Work, config: DegradeConfig) -> int:
    """Reads a clip whole, spoils it and writes it at its own rate; returns the number of its frames.

    Raises UnreadableError if it cannot be read, ValueError if the degradation or the format cannot take it.
    """
    reader = work.reader or open_video(work.source, limits=config)
    frames = reader.read(0, reader.frames)
    spoilt = degrade(frames, config.kind, severity=config.severity, seed=work.seed)
    write_clip(work.target, spoilt.frames, rate=reader.rate)
    return len(frames)


def spoil_each(works: list[Work], config: DegradeConfig) -> int:
    """Spoils the clips of a folder, and returns how many there are; those that cannot be read are skipped, and named.

    Raises UnreadableError if none can be read.
    """
    problems = []
    for work in works:
        try:
            spoil(work, config)
        except UnreadableError as error:
            problems.append(str(error))
    if len(problems) == len(works):
        raise UnreadableError(f"not one clip in {config.clip} can be read: {problems[0]}")
    if problems:
        log.warning("clips skipped (%d): %s", len(problems), "; ".join(problems[:20]))
    return len(works) - len(problems)
