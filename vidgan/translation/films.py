"""Translates videos, pictures and folders of them from file to file, for the commands."""

import logging
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from torch import Tensor
from tqdm import tqdm

from gancore.errors import format_line
from gancore.files.outputs import check_outputs
from vidgan.data.conversions import Conversion, list_clips, plan_conversions
from vidgan.files.captions import LabelledClip, make_film
from vidgan.files.readers import IMAGE_SUFFIXES, VideoReader
from vidgan.files.sound import has_sound, open_sound
from vidgan.files.video import open_video
from vidgan.files.writers import open_clip
from vidgan.networks.translator import ClipTranslator
from vidgan.translation.apply import Part, enlarge_frames, translate_film
from vidgan.translation.commands import BlendingCommand, ClipCommand, FillConfig
from vidgan.translation.masks import FilmMask, open_mask

log = logging.getLogger(__name__)


def plan_films(config: ClipCommand, *, name: str, inputs: Sequence[Path | None] = ()) -> list[Conversion]:
    """What there is to do: one clip, or each of those in a folder; `name` is that of an output that is not named.

    Raises FileNotFoundError or ValueError if there is nothing to read, or something may not be written.
    """
    out = config.out or Path(name).with_suffix(_choose_suffix(config))
    check_outputs([out], inputs=[config.clip, *inputs], overwrite=config.overwrite, are_files=bool(out.suffix))
    jobs = plan_conversions(
        config.clip, out, overwrite=config.overwrite, limits=config, each=config.each, moving=config.compare
    )
    if config.compare and any(job.target.suffix.lower() in (".npy", "") for job in jobs):
        raise ValueError("compare is for people to look at: choose a .mp4, .gif or .png as output")
    return jobs


def _choose_suffix(config: ClipCommand) -> str:
    """.png for a picture, .mp4 for a film, and none for a folder of these."""
    if list_clips(config.clip, config, each=config.each):
        return ""
    is_picture = config.clip.suffix.lower() in IMAGE_SUFFIXES and open_video(config.clip, limits=config).frames == 1
    return ".png" if is_picture else ".mp4"


# ---------------------------------------------------------------------------------------------------------------- work


@dataclass(frozen=True)
class Done:
    """What was written."""

    frames: int
    height: int
    width: int


def translate_files(
    jobs: Sequence[Conversion], network: ClipTranslator, config: ClipCommand, *, label: str
) -> list[Done]:
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


def translate_file(job: Conversion, network: ClipTranslator, config: ClipCommand, *, label: str) -> Done:
    """Translates a clip and writes the frames as they are computed; `label` names the result in a comparison."""
    film = job.reader or open_video(job.source, channels=network.shape.channels, limits=config)
    strength = config.strength if isinstance(config, BlendingCommand) else 1.0
    known = _open_mask(film, job.name, config) if isinstance(config, FillConfig) else None
    plays_sound = job.target.suffix.lower() == ".mp4"
    if not plays_sound and has_sound(film):
        log.warning("%s: the sound is left out, which only an .mp4 can hold", job.name)
    parts = translate_film(network, film, known=known, strength=strength, gigabytes=config.memory)
    count = 0
    with ExitStack() as stack:
        bar = stack.enter_context(tqdm(total=film.frames, unit="frame", desc=job.name, dynamic_ncols=True))
        first = next(parts)  # what is wrong with the clip is said before a file is begun
        height, width = first.target.shape[2:]
        sound = stack.enter_context(open_sound(film)) if plays_sound else None
        write = stack.enter_context(open_clip(job.target, frames=film.frames, rate=film.rate, sound=sound))
        for part in chain([first], parts):
            write(show_both(part, network.shape.scale, label=label, first=count) if config.compare else part.target)
            count += len(part.target)
            bar.update(len(part.target))
    return Done(count, height, width)


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
