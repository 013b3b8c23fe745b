"""Animates a picture from file to file, for the command."""

from contextlib import ExitStack
from itertools import chain

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from vidgan.animation.apply import NOTE, Picture, animate_film
from vidgan.animation.commands import AnimateConfig
from vidgan.files.captions import LabelledClip, make_film
from vidgan.files.readers import VideoReader
from vidgan.files.sound import open_sound
from vidgan.files.video import check_clip_path, open_video
from vidgan.files.writers import open_clip
from vidgan.frames import Frames, convert_channels
from vidgan.networks.animator import Animator


def animate_file(network: Animator, config: AnimateConfig) -> tuple[int, int, int]:
    """Animates the picture and writes frames as they are computed; returns their number, height and width.

    Raises UnreadableError or ValueError if something cannot be read or written, before a file is begun if possible.
    """
    check_clip_path(config.out, overwrite=config.overwrite, comment=NOTE)
    channels = network.shape.channels
    source = open_video(config.source, channels=channels, limits=config).read(0, 1)
    film = open_video(config.driving, channels=channels, limits=config)
    parts, count = animate_film(network, source, film, relative=config.relative), 0
    plays_sound = config.out.suffix.lower() == ".mp4"
    with ExitStack() as stack:
        bar = stack.enter_context(tqdm(total=film.frames, unit="frame", desc=str(config.source), dynamic_ncols=True))
        first = next(parts)
        sound = stack.enter_context(open_sound(film)) if plays_sound else None
        write = stack.enter_context(
            open_clip(config.out, frames=film.frames, rate=film.rate, sound=sound, comment=NOTE)
        )
        for part in chain([first], parts):
            write(show_all(source, film, part, first=count) if config.compare else part)
            count += len(part)
            bar.update(len(part))
    return count, *source.shape[2:]


def show_all(source: Picture, film: VideoReader, moved: Frames, *, first: int) -> Tensor:
    """Source, driver and result side by side, each below its label; `first` is the number of the first frame."""
    count, size = len(moved), tuple(moved.shape[2:])
    driving = convert_channels(film.read(first, count), moved.shape[1])
    if tuple(driving.shape[2:]) != size:
        driving = F.interpolate(driving, size, mode="bilinear", antialias=True)
    shown = {"source": source.expand(count, -1, -1, -1), "driving": driving, "moved": moved}
    clips = [
        LabelledClip(name, torch.as_tensor(frames), generated_from=0 if name == "moved" else count)
        for name, frames in shown.items()
    ]
    return make_film(clips, first_frame=first)
