"""The warp of the networks, written as a loop over pixels."""

import torch
from torch import Tensor


def warp_by_pixel(x: Tensor, flow: Tensor) -> Tensor:
    """Backward warp x(p + flow(p)), bilinear with repeated edges, pixel by pixel."""
    height, width = x.shape[-2:]
    result = torch.empty_like(x)
    for b in range(len(x)):
        for row in range(height):
            for column in range(width):
                across = min(max(column + float(flow[b, 0, row, column]), 0), width - 1)
                down = min(max(row + float(flow[b, 1, row, column]), 0), height - 1)
                left, top = min(int(across), width - 2), min(int(down), height - 2)
                p, q = across - left, down - top
                upper = (1 - p) * x[b, :, top, left] + p * x[b, :, top, left + 1]
                lower = (1 - p) * x[b, :, top + 1, left] + p * x[b, :, top + 1, left + 1]
                result[b, :, row, column] = (1 - q) * upper + q * lower
    return result
