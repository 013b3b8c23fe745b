"""Backward warping: resampling a map at positions displaced by a flow."""

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from gancore.device import constant


def identity_grid(like: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "1 2 height width"]:
    """The (x, y) position of every pixel centre of a map, in pixels."""
    height, width = like.shape[-2:]
    rows = torch.arange(height, device=like.device, dtype=like.dtype)
    columns = torch.arange(width, device=like.device, dtype=like.dtype)
    return torch.stack(torch.meshgrid(columns, rows, indexing="xy"))[None]


def warp(
    x: Float[Tensor, "batch channels height width"],
    flow: Float[Tensor, "batch 2 height width"],
    *,
    bicubic: bool = False,
) -> Float[Tensor, "batch channels height width"]:
    """Backward warp y(p) = x(p + flow(p)), with repeated edges; the flow is (x, y) in pixels.

    Bilinear interpolation blurs what moves by a fraction of a pixel; `bicubic` is sharper, costs more, and may leave
    the range of `x`. Positions are computed in float32 or better, as bfloat16 would round 60.3 to 60.25.
    """
    height, width = x.shape[-2:]
    flow = flow.to(torch.promote_types(flow.dtype, torch.float32))
    position = identity_grid(flow) + flow
    scale = constant(2 / max(width - 1, 1), 2 / max(height - 1, 1), like=position)
    grid = rearrange(position, "b two h w -> b h w two") * scale - 1
    mode = "bicubic" if bicubic else "bilinear"
    warped = F.grid_sample(x.to(grid.dtype), grid, mode=mode, padding_mode="border", align_corners=True)
    return warped.to(x.dtype)
