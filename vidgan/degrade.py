"""Spoils films, pictures and folders of them, for the command of that name."""

import logging
import zlib
from dataclasses import dataclass
from pathlib import Path

from gancore.errors import UnreadableError
from gancore.rng import derive_seed
from vidgan.commands import DegradeConfig
from vidgan.data.conversions import plan_conversions
from vidgan.degradations.kinds import degrade, parse_chain
from vidgan.files.readers import VideoReader
from vidgan.files.video import open_video, write_clip

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
    conversions = plan_conversions(config.clip, config.out, overwrite=config.overwrite, limits=config)
    if len(conversions) == 1 and conversions[0].target == config.out:
        return [Work(str(config.clip), None, config.out, config.seed)]
    seeds = [derive_seed(config.seed, zlib.crc32(each.name.encode())) for each in conversions]
    return [Work(each.source, each.reader, each.target, seed) for each, seed in zip(conversions, seeds, strict=True)]


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
    """Spoils the clips of a folder, and returns how many there are; those that cannot be spoilt are skipped, and named.

    Raises UnreadableError if none can be.
    """
    problems = []
    for work in works:
        try:
            spoil(work, config)
        except UnreadableError as error:
            problems.append(str(error))
        except ValueError as error:
            problems.append(f"{work.source}: {error}")
    if len(problems) == len(works):
        raise UnreadableError(f"not one clip in {config.clip} can be spoilt: {problems[0]}")
    if problems:
        log.warning("clips skipped (%d): %s", len(problems), "; ".join(problems[:20]))
    return len(works) - len(problems)
