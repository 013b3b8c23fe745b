"""The layers of which scenes are composed."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from vidgan.data.synthetic.affine import Maps


@dataclass(frozen=True)
class Layer:
    """A flat piece of picture, and where it is on the plate."""

    picture: Float[Tensor, "4 height width"]
    """Red, green and blue in [0, 1], multiplied by opacity; opacity. A shadow is black and never more than half opaque,
    so that what it falls on is still what is seen."""

    placement: Maps
    """From the pixels of the picture to those of the plate."""
