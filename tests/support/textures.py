"""Pictures with detail of several sizes, as pictures of the world have, on which motion can be measured."""

import torch
import torch.nn.functional as F


def texture(height: int, width: int, *, seed: int = 0, channels: int = 3) -> torch.Tensor:
    """A picture (channels height width) in [-1, 1]."""
    random, picture = torch.Generator().manual_seed(seed), torch.zeros(1, channels, height, width)
    for size in (3, 6, 12):
        coarse = torch.randn(1, channels, -(-height // size), -(-width // size), generator=random)
        picture += F.interpolate(coarse, (height, width), mode="bicubic") * size / 12
    return (picture[0] / 2).clamp(-1, 1)
