"""Colours as files store them (sRGB, IEC 61966-2-1), and as light adds up and is multiplied (linear)."""

import numpy as np
from jaxtyping import Float, Num


def srgb_to_linear(colours: Num[np.ndarray, "*batch channels"]) -> Float[np.ndarray, "*batch channels"]:
    """Convert RGB or RGBA in sRGB, 0 to 255, to linear light in [0, 1]; alpha is only scaled."""
    srgb = np.asarray(colours, np.float64) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    linear[..., 3:] = srgb[..., 3:]
    return linear


def linear_to_srgb(colours: Num[np.ndarray, "*batch channels"]) -> Float[np.ndarray, "*batch channels"]:
    """Convert RGB or RGBA in linear light to sRGB, 0 to 255; what lies outside [0, 1] is clipped, alpha only scaled."""
    linear = np.asarray(colours, np.float64).clip(0, 1)
    srgb = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    srgb[..., 3:] = linear[..., 3:]
    return srgb * 255
