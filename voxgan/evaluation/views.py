"""Selects the pictures that are shown to a model and to the baselines."""

from dataclasses import dataclass

import numpy as np
from einops import rearrange
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from gancore.rng import derive_seed
from voxgan.data.packed import PackedDataset
from voxgan.evaluation.baselines import picture_features
from voxgan.files.images import encode_views, frame_or_blank
from voxgan.networks.image_to_voxels import ImageToVoxels


@dataclass(frozen=True)
class ViewSelection:
    """Random draws of the pictures of each object, over which scores are averaged."""

    packed: PackedDataset
    views: tuple[int, ...]
    """Numbers of pictures to reconstruct from."""
    view_draws: int
    """Number of draws per object."""
    seed: int

    def view_numbers(self, index: int) -> Int[np.ndarray, "draws views"]:
        """Draw ordered pictures of an object, so that 3 views include the single view.

        A picture is first in a second draw only after every other has been first.
        """
        total, most = len(self.packed.objects[index].cameras), max(self.views)
        random = np.random.default_rng(derive_seed(self.seed, index))
        rounds = [random.permutation(total) for _ in range(-(-self.view_draws * most // total))]
        return np.concatenate(rounds)[: self.view_draws * most].reshape(most, self.view_draws).T

    def load_views(self, index: int) -> list[UInt8[np.ndarray, "height width 4"]]:
        """Read the pictures of all draws, one draw after the other."""
        return [self.packed.read_view(index, int(number)) for number in self.view_numbers(index).ravel()]

    def encoder_inputs(self, index: int, model: ImageToVoxels) -> Float[Tensor, "draws views channels height width"]:
        """Read the pictures of an object as input of the model's encoder."""
        encoder = model.encoder.config
        pictures = [frame_or_blank(picture, encoder.size) for picture in self.load_views(index)]
        return rearrange(encode_views(pictures, mask=encoder.mask), "(d v) c h w -> d v c h w", d=self.view_draws)

    def query_features(self, index: int) -> UInt8[np.ndarray, "draws views 2 height width"]:
        """Compute the features of an object's pictures for the nearest-picture baseline."""
        small = np.stack([picture_features(picture) for picture in self.load_views(index)])
        return rearrange(small, "(d v) c h w -> d v c h w", d=self.view_draws)


def format_view_count(views: int) -> str:
    """Return "1 view" or "3 views"."""
    return f"{views} view" + ("s" if views > 1 else "")
