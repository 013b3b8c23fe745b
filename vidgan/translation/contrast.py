"""The patch contrast of CUT: each translated patch must match its source patch better than other patches."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from gancore.rng import SampleRandom
from vidgan.networks.translator import ClipTranslator, FrameMap
from vidgan.networks.translator_pair import PatchProjection

Frames = Float[Tensor, "batch time channels height width"]

TEMPERATURE = 0.07
"""Divisor of the similarities."""


def patch_contrast(
    made: Float[Tensor, "frames n features"], given: Float[Tensor, "frames n features"]
) -> Float[Tensor, ""]:
    """PatchNCE: the cross-entropy, in nats, of finding the patch of the given frame that lies where one made does.

    Similarities are cosines over TEMPERATURE. Candidates are the n patches of the same frame, whatever else is in the
    batch; features that tell nothing give ln n. Only what was made gets a gradient. Park et al. 2020, equation 4.
    """
    similar = torch.einsum("fnc,fmc->fnm", F.normalize(made.float(), dim=2), F.normalize(given.float(), dim=2).detach())
    wanted = torch.arange(made.shape[1], device=made.device).expand(len(made), -1)
    return F.cross_entropy((similar / TEMPERATURE).transpose(1, 2), wanted)


def clip_contrast(
    translator: ClipTranslator,
    projection: PatchProjection,
    given: Frames,
    made: Frames,
    *,
    patches: int,
    draws: SampleRandom,
) -> Float[Tensor, ""]:
    """The patch contrast of clips with what the translator made of them, by its own maps, a mean over these.

    Both are seen as `refine` sees them: give sources after `match`, which translations are not in need of.
    All frames of a clip are compared at the same places, all if a map has no more than `patches`.
    """
    with torch.no_grad():
        maps = translator.feature_maps(given)
    places = draw_places(maps, patches, len(given), draws)
    places = [where.repeat_interleave(given.shape[1], 0) for where in places]
    with torch.no_grad():
        keys = projection(maps, places)
    queries = projection(translator.feature_maps(made), places)
    return torch.stack([patch_contrast(*pair) for pair in zip(queries, keys, strict=True)]).mean()


def draw_places(maps: Sequence[FrameMap], count: int, batch: int, draws: SampleRandom) -> list[Int[Tensor, "batch n"]]:
    """Different positions in each map for each of `batch` clips, numbered row by row."""
    sizes = [each.shape[2] * each.shape[3] for each in maps]
    return [draws.choice(batch, min(count, size), size) for size in sizes]
