"""Space-to-depth at the input of a discriminator."""

import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor


def split_patches(clips: Float[Tensor, "batch time _ _ _"], patch_size: int) -> Float[Tensor, "batch time _ _ _"]:
    """Space-to-depth: (batch time channels*patch_size^2 height/patch_size width/patch_size).

    Rows and columns that do not fill a patch are cropped.
    """
    height, width = (side // patch_size * patch_size for side in clips.shape[-2:])
    x = rearrange(clips[..., :height, :width], "b t c h w -> (b t) c h w")
    return rearrange(F.pixel_unshuffle(x, patch_size), "(b t) c h w -> b t c h w", b=len(clips))
