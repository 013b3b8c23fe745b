"""Translates films, pictures and folders of them from file to file, for the commands."""

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from torch import Tensor
from tqdm import tqdm

from gancore.errors import format_line
from gancore.files.outputs import check_outputs
from gancore.files.reading import split_member
from vidgan.data.layouts import VideoEntry, find_videos
from vidgan.files.array_files import ARRAY_SUFFIXES
from vidgan.files.captions import LabelledClip, make_film
from vidgan.files.image_sequence import is_image
from vidgan.files.readers import IMAGE_SUFFIXES, VideoReader, sort_naturally
from vidgan.files.sound import has_sound, open_sound
from vidgan.files.video import CLIP_SUFFIXES, check_clip_path, open_video
from vidgan.files.writers import open_clip
from vidgan.networks.translator import ClipTranslator
from vidgan.translation.apply import Part, enlarge_frames, translate_film
from vidgan.translation.commands import BlendingCommand, ClipCommand, FillConfig
from vidgan.translation.masks import FilmMask, open_mask

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """A clip to translate, and where the result goes."""

    name: str
    source: str
    target: Path
    reader: VideoReader | None = None
    """The clip, where finding it has opened it."""


def plan_jobs(config: ClipCommand, *, name: str) -> list[Job]:
    """What there is to do: one clip, or each of those in a folder. `name` is that of an output that is not named.

    Raises FileNotFoundError or ValueError if there is nothing to read, or something may not be written.
    """
    folder, _ = split_member(config.clip)
    entries = list(_find_clips(folder, config)) if folder.is_dir() else []
    if not entries or (len(entries) == 1 and Path(entries[0].path) == folder):
        reader = open_video(config.clip, limits=config) if config.out is None else None
        target = config.out or Path(name).with_suffix(".png" if _is_picture(config.clip, reader) else ".mp4")
        _check_target(target, config)
        return [Job(str(config.clip), str(config.clip), target, reader)]
    out = config.out or Path(name)
    if out.suffix:
        raise ValueError(f"{config.clip} holds {len(entries)} clips: choose an output without a suffix, for a folder")
    named: dict[str, str] = {}
    jobs = []
    for entry in entries:
        target = out / _name_target(entry, config)
        if other := named.get(str(target).lower()):
            raise ValueError(f"{entry.name} and {other} would both become {target}: rename one of them")
        named[str(target).lower()] = entry.name
        _check_target(target, config)
        jobs.append(Job(entry.name, entry.address, target, entry.reader))
    return jobs


def _find_clips(folder: Path, config: ClipCommand) -> Iterator[VideoEntry]:
    """The clips in a folder; with `each` the pictures instead of the films that they would be the frames of."""
    for entry in find_videos(folder, "folder", limits=config):
        inside = Path(entry.path)
        if config.each and inside.is_dir():
            for picture in sort_naturally(path.name for path in inside.iterdir() if is_image(path.name)):
                path = inside / picture
                yield VideoEntry(str(path), path.relative_to(folder).as_posix())
        else:
            yield entry


def _check_target(target: Path, config: ClipCommand) -> None:
    check_outputs([target], inputs=[config.clip], overwrite=config.overwrite, are_files=bool(target.suffix))
    check_clip_path(target, overwrite=config.overwrite)


def _is_picture(path: Path, reader: VideoReader | None) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and reader is not None and reader.frames == 1


def _name_target(entry: VideoEntry, config: ClipCommand) -> PurePosixPath:
    """The name of a result: that of its clip, with a suffix that can be written."""
    name = PurePosixPath(entry.name)
    suffix = name.suffix.lower()
    if config.compare:
        many = suffix not in IMAGE_SUFFIXES or open_video(entry.address, limits=config).frames > 1
        return name.with_suffix(".mp4" if many else ".png")
    if entry.reader is not None or Path(entry.path).is_dir():
        return PurePosixPath(*(part.replace(".", "_") for part in name.parts))
    if suffix in IMAGE_SUFFIXES:
        return name.with_suffix(".png" if open_video(entry.address, limits=config).frames == 1 else ".mp4")
    if suffix in ARRAY_SUFFIXES:
        return name.with_suffix(".npy")
    return name if suffix in CLIP_SUFFIXES else name.with_suffix(".mp4")


# ---------------------------------------------------------------------------------------------------------------- work


@dataclass(frozen=True)
class Done:
    """What was written."""

    frames: int
    height: int
    width: int


def translate_files(jobs: Sequence[Job], network: ClipTranslator, config: ClipCommand, *, label: str) -> list[Done]:
    """Translates one clip after the other, with a line of progress for each on standard error.

    Raises UnreadableError or ValueError if one cannot be translated; of several, once all others are done, and each is
    named on standard error.
    """
    if len(jobs) == 1:
        return [translate_file(jobs[0], network, config, label=label)]
    done, problems = [], []
    for job in jobs:
        try:
            done.append(translate_file(job, network, config, label=label))
        except (ValueError, OSError) as error:
            problems.append(f"{job.name}: {error}")
            tqdm.write(f"left out: {format_line(problems[-1])}", file=sys.stderr)
    if problems:
        raise ValueError(f"{len(problems)} of {len(jobs)} clips were left out, first {problems[0]}")
    return done


def translate_file(job: Job, network: ClipTranslator, config: ClipCommand, *, label: str) -> Done:
    """Translates a clip and writes the frames as they are computed; `label` names the result in a comparison."""
    film = job.reader or open_video(job.source, channels=network.shape.channels, limits=config)
    strength = config.strength if isinstance(config, BlendingCommand) else 1.0
    known = _open_mask(film, job.name, config) if isinstance(config, FillConfig) else None
    plays_sound = job.target.suffix.lower() == ".mp4"
    if not plays_sound and has_sound(film):
        log.warning("%s: the sound is left out, which only an .mp4 can hold", job.name)
    parts = translate_film(network, film, known=known, strength=strength, gigabytes=config.memory)
    first = next(parts)  # what is wrong with the clip is said before a file is begun
    height, width = first.target.shape[2:]
    count = 0
    with ExitStack() as stack:
        sound = stack.enter_context(open_sound(film)) if plays_sound else None
        write = stack.enter_context(open_clip(job.target, frames=film.frames, rate=film.rate, sound=sound))
        bar = stack.enter_context(tqdm(total=film.frames, unit="frame", desc=job.name, dynamic_ncols=True))
        for part in _chain(first, parts):
            write(show_both(part, network.shape.scale, label=label, first=count) if config.compare else part.target)
            count += len(part.target)
            bar.update(len(part.target))
    return Done(count, height, width)


def _chain(first: Part, rest: Iterator[Part]) -> Iterator[Part]:
    yield first
    yield from rest


def show_both(part: Part, scale: int, *, label: str, first: int = 0) -> Tensor:
    """Source and result side by side, each below its label; `first` is the number of the first frame of the part."""
    frames = len(part.target)
    source = "source, enlarged" if scale > 1 else "source"
    clips = [
        LabelledClip(source, enlarge_frames(part.source, scale), generated_from=frames),
        LabelledClip(label, part.target),
    ]
    return make_film(clips, first_frame=first)


def _open_mask(film: VideoReader, name: str, config: FillConfig) -> FilmMask:
    return open_mask(film, name=name, mask=config.mask, box=config.box, missing=config.missing, limits=config)
