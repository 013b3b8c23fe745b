"""Small translators, and films with sound for them."""

from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from torch import Tensor

from vidgan.networks.translator import ClipTranslator
from vidgan.translation_config import PairShape, TranslatorConfig

CONFIG = {"base_channels": 4, "blocks": 1, "neighbours": 1, "patch_size": 2}


@cache
def translator(*, strength: float = 0.05, **settings: Any) -> ClipTranslator:
    """A translator whose weights are off their start, in eval mode; settings of its network and of its pairs."""
    random = torch.Generator().manual_seed(1)
    shape = {name: value for name, value in settings.items() if name in PairShape.__dataclass_fields__}
    config = CONFIG | {name: value for name, value in settings.items() if name not in shape}
    torch.manual_seed(1)
    network = ClipTranslator(TranslatorConfig(**config), PairShape(**shape)).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += strength * torch.randn(parameter.shape, generator=random)
    return network


def moving_clip(frames: int, height: int, width: int, *, channels: int = 3, seed: int = 0) -> Tensor:
    """A smooth pattern that moves evenly by half a pixel a frame, uint8: time, channel, height, width."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    steps = np.arange(frames)[:, None, None]
    planes = []
    for _ in range(channels):
        turn, phase = random.uniform(0, 2 * np.pi, 2)
        along = np.cos(turn) * rows + np.sin(turn) * columns
        planes.append(127.5 + 100 * np.sin((along[None] + 0.5 * steps) / 5 + phase))
    return torch.from_numpy(np.stack(planes, 1).round().astype(np.uint8))


def write_film_with_sound(
    path: Path, frames: Tensor, *, rate: int = 10, codec: str = "aac", delay: int = 0, layout: str = "mono"
) -> None:
    """A film, of MPEG-4 in .avi and H.264 elsewhere, that begins `delay` frames late, with a tone beside it."""
    hertz = 48000 if codec == "libopus" else 16000
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4" if path.suffix == ".avi" else "libx264", rate=rate, options={"crf": "12"})
        video.height, video.width, video.pix_fmt = *frames.shape[2:], "yuv420p"
        audio = container.add_stream(codec, rate=hertz)
        audio.layout = layout
        for number, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame.movedim(0, 2).contiguous().numpy(), format="rgb24")
            picture.pts, picture.time_base = number + delay, Fraction(1, rate)
            container.mux(video.encode(picture))
        container.mux(video.encode())
        seconds = np.arange(len(frames) * hertz // rate) / hertz
        tone = (np.sin(2 * np.pi * 440 * seconds) * 20000).astype(np.int16).repeat(len(audio.layout.channels))[None]
        sound = av.AudioFrame.from_ndarray(tone, format="s16", layout=layout)
        sound.sample_rate, sound.pts = hertz, 0
        container.mux(audio.encode(sound))
        container.mux(audio.encode())


def sound_of(path: Path) -> list[tuple[bytes, float]]:
    """(Content, seconds) of the packets of sound in a film."""
    with av.open(str(path)) as container:
        packets = container.demux(audio=0) if container.streams.audio else []
        return [(bytes(each), float(each.pts * each.time_base)) for each in packets if each.dts is not None]
