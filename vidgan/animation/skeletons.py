"""Draws poses as clips, coloured bones or Gaussians at keypoints, which translators turn into figures."""

import colorsys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw
from torch import Tensor

from gancore.data import Sample
from gancore.errors import format_line
from vidgan.animation.apply import BATCH, prepare, resize
from vidgan.animation.commands import SkeletonsConfig
from vidgan.data.conversions import Conversion
from vidgan.data.synthetic.patches import ProceduralPatches
from vidgan.data.synthetic.puppets import BONES, JOINTS, Joints, PuppetClips
from vidgan.files.readers import VideoReader
from vidgan.files.video import open_video, write_clip
from vidgan.files.writers import open_clip
from vidgan.frames import to_uint8
from vidgan.networks.animator import VARIANCE, Animator
from vidgan.networks.keypoints import draw_gaussians

Frames = UInt8[Tensor, "time 3 height width"]

OVERSAMPLING = 4
"""Bones are drawn this many times as large, and then reduced."""
THICKNESS = 2.0
"""Width of a bone in pixels where the shorter side of the frame has 64."""
RATE = 10
"""Frames per second of the clips of puppets."""


def pick_colours(count: int) -> Float[np.ndarray, "count 3"]:
    """Colours in [0, 1] of evenly spaced hues, all bright."""
    return np.array([colorsys.hsv_to_rgb(number / count, 0.9, 1.0) for number in range(count)])


def draw_skeleton(joints: Joints, *, height: int, width: int) -> Frames:
    """The bones between joints, each in its own colour on black; later bones lie over earlier ones."""
    colours = (pick_colours(len(BONES)) * 255).round().astype(int)
    thick = round(OVERSAMPLING * THICKNESS * min(height, width) / 64)
    frames = []
    for pose in (joints + 0.5) * OVERSAMPLING:
        large = Image.new("RGB", (width * OVERSAMPLING, height * OVERSAMPLING))
        pen = ImageDraw.Draw(large)
        for (first, last), colour in zip(BONES, colours, strict=True):
            ends = [tuple(pose[JOINTS.index(name)]) for name in (first, last)]
            pen.line(ends, fill=tuple(colour.tolist()), width=max(1, thick))
        frames.append(np.asarray(large.resize((width, height), Image.Resampling.BOX)))
    return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2).contiguous()


@torch.inference_mode()
def draw_keypoints(network: Animator, frames: UInt8[Tensor, "time channel height width"]) -> Frames:
    """A Gaussian in a colour of its own at each keypoint that an animator finds, brightest where several meet."""
    given = prepare(network, frames)
    position = network.find(resize(given, network)).position
    drawn = draw_gaussians(position, given, variance=VARIANCE / 4)
    colours = torch.from_numpy(pick_colours(position.shape[1])).to(drawn)
    painted = (drawn[:, :, None] * colours[:, :, None, None]).amax(1)
    return to_uint8(2 * painted - 1).cpu()


def write_puppet_pairs(config: SkeletonsConfig) -> int:
    """Writes clips of one puppet and their skeletons to the folders figures and skeletons; returns their number."""
    shape = {"height": config.size, "width": config.size, "clip_frames": config.frames}
    clips = PuppetClips(ProceduralPatches(), split="train", figure=config.figure, **shape)
    for number in range(config.count):
        puppet = clips.draw(Sample(number, number))
        skeleton = draw_skeleton(puppet.joints, height=config.size, width=config.size)
        for kind, frames in (("figures", clips.render(puppet)), ("skeletons", skeleton)):
            write_clip(config.out / kind / name_clip(number), frames, rate=RATE)
    return config.count


def name_clip(number: int) -> str:
    """The name of a clip of a puppet; arrays keep every pixel as it is."""
    return f"{number:05d}.npy"


def write_keypoint_clips(network: Animator, jobs: Sequence[Conversion], config: SkeletonsConfig) -> int:
    """Draws the keypoints of each clip into its target; returns how many clips there were.

    Raises ValueError, once all others are done, if one of several cannot be read.
    """
    problems = []
    for job in jobs:
        try:
            film = job.reader or open_video(job.source, channels=network.shape.channels, limits=config)
            _write_keypoints(network, film, job.target)
        except (ValueError, OSError) as error:
            if len(jobs) == 1:
                raise
            problems.append(format_line(f"{job.name}: {error}"))
    if problems:
        raise ValueError(f"{len(problems)} of {len(jobs)} clips were left out, first {problems[0]}")
    return len(jobs)


def _write_keypoints(network: Animator, film: VideoReader, target: Path) -> None:
    with open_clip(target, frames=film.frames, rate=film.rate) as write:
        for start in range(0, film.frames, BATCH):
            write(draw_keypoints(network, film.read(start, min(BATCH, film.frames - start))))
