"""Forward warping (splatting): every pixel is displaced and added where it lands."""

import torch
from jaxtyping import Float
from torch import Tensor

from vidgan.networks.warp import identity_grid


def splat(
    x: Float[Tensor, "batch channels height width"], displacement: Float[Tensor, "batch 2 height width"]
) -> Float[Tensor, "batch channels height width"]:
    """Summation splatting (Niklaus and Liu 2020): the adjoint of a bilinear backward warp.

    Each pixel is displaced by (x, y) pixels and added to the four pixels around it; what leaves the frame is lost.
    Computed in float32 or better. On a GPU the order of the additions, and so the rounding, can differ between calls.
    """
    height, width = x.shape[-2:]
    displacement = displacement.to(torch.promote_types(displacement.dtype, torch.float32))
    position = identity_grid(displacement) + displacement
    corner = position.floor().detach()
    right, down = (position - corner).unbind(1)  # shares of the right and of the lower neighbours
    places, shares = [], []
    for offset_y, share_y in ((0, 1 - down), (1, down)):
        for offset_x, share_x in ((0, 1 - right), (1, right)):
            column, row = corner[:, 0] + offset_x, corner[:, 1] + offset_y
            inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            places.append(torch.where(inside, row * width + column, 0.0).long().flatten(1))
            shares.append((inside * share_x * share_y).flatten(1))
    place = torch.cat(places, 1)[:, None].expand(-1, x.shape[1], -1)
    moved = x.to(displacement.dtype).flatten(2).repeat(1, 1, 4) * torch.cat(shares, 1)[:, None]
    return torch.zeros_like(moved[..., : height * width]).scatter_add(2, place, moved).view(x.shape)
