"""Every kind of degradation by its name, and chains of them."""

import math

import numpy as np
import torch.nn.functional as F
from jaxtyping import Bool, UInt8
from torch import Tensor

from gancore.keys import describe_unknown
from gancore.rng import derive_seed
from vidgan.degradations import (
    blur,
    codecs,
    film,
    gaps,
    haze,
    light,
    noise,
    particles,
    resolution,
    second_order,
    transmission,
)
from vidgan.degradations.degraded import Degradation, DegradedClip
from vidgan.degradations.severity import check_severity

DEGRADATIONS: dict[str, Degradation] = {
    "noise": noise.add_noise,
    "shot": noise.add_shot_noise,
    "impulse": noise.add_impulses,
    "blur": blur.blur,
    "motion-blur": blur.blur_by_motion,
    "pixelate": resolution.pixelate,
    "shrink-2": resolution.Shrink(2),
    "shrink-4": resolution.Shrink(4),
    "jpeg": codecs.compress_jpeg,
    "h264": codecs.compress_h264,
    "h265": codecs.compress_h265,
    "packet-loss": transmission.lose_packets,
    "bit-errors": transmission.flip_bits,
    "rain": particles.rain,
    "snow": particles.SNOW,
    "dust": particles.DUST,
    "fog": haze.FOG,
    "smoke": haze.SMOKE,
    "low-light": light.dim,
    "flicker": light.flicker,
    "contrast": light.reduce_contrast,
    "grey": light.remove_colour,
    "night": light.make_night,
    "scratches": film.scratch,
    "dropped": gaps.drop_frames,
    "frozen": gaps.freeze_frames,
    "holes": gaps.cut_holes,
    "second-order": second_order.degrade_twice,
}
"""Every kind by its name; docs/degradations.md says what their severities stand for."""


def parse_chain(name: str) -> list[str]:
    """The kinds that a name joins by "+". Raises ValueError, with the most similar name, for one that is unknown."""
    kinds = name.split("+")
    for kind in kinds:
        if kind not in DEGRADATIONS:
            raise ValueError(describe_unknown("degradation", kind, DEGRADATIONS))
    return kinds


def scale_of_chain(name: str) -> int:
    """By how much a kind or chain divides the sides of a frame. Raises ValueError if it is unknown."""
    found = (DEGRADATIONS[kind] for kind in parse_chain(name))
    return math.prod(kind.scale for kind in found if isinstance(kind, resolution.Shrink))


def degrade(
    frames: UInt8[Tensor, "time channel height width"], name: str, *, severity: float | int = 3.0, seed: int
) -> DegradedClip:
    """Spoils a clip by one kind of degradation, or a chain of kinds joined by "+", from left to right.

    The severity is in [0, 5]; 0 gives the clip back bit for bit, but for shrinking, which has no severities. The
    same clip, name, severity and seed give the same result. What a chain knows to be lost is what any of its kinds
    lost. `frames` is left as it is.

    Raises ValueError for an unknown name, a severity outside [0, 5], a clip without frames or pixels, or a number of
    channels that a kind has no meaning for.
    """
    kinds = parse_chain(name)
    check_severity(severity)
    if not frames.numel():
        raise ValueError("there are no frames to degrade")
    spoilt, known = frames.cpu().clone(), None
    for number, kind in enumerate(kinds):
        degradation = DEGRADATIONS[kind]
        if not severity and not isinstance(degradation, resolution.Shrink):
            continue
        clip = degradation(spoilt, np.random.default_rng(derive_seed(seed, number)), float(severity))
        spoilt, known = clip.frames, _join_known(known, clip)
    return DegradedClip(spoilt, known)


def _join_known(before: Bool[Tensor, "time 1 h w"] | None, clip: DegradedClip) -> Bool[Tensor, "time 1 _h _w"] | None:
    """What is known after a further kind; of a shrunk clip a pixel is known if all that it was made of was."""
    if before is None:
        return clip.known
    height, width = clip.frames.shape[2:]
    scale = before.shape[2] // height
    if scale > 1:
        lost = F.max_pool2d((~before[:, :, : height * scale, : width * scale]).float(), scale)
        before = lost == 0
    return before if clip.known is None else before & clip.known
