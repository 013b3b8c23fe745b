"""VoxelGenerator: from noise to the occupancy of an object (3D-GAN, Wu et al. 2016)."""

from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from gancore.hub import HubModel
from gancore.layers import build_group_norm
from gancore.rng import SampleRandom
from gancore.style import MappingNetwork, Styles, StyleSynthesis, repeat_styles
from voxgan.config import NormName, VoxelGeneratorConfig, VoxelShape
from voxgan.networks.aggregate_prior import AggregatePrior

BASE_SIDE = 4
"""Side, in voxels, of the map that a generator starts from and a discriminator ends at."""

COMPONENT_STD = 0.5
"""Standard deviation of each Gaussian of a mixture; with the initial means, that of the whole mixture is 1."""

Latent = Float[Tensor, "batch latent"]
Labels = Int[Tensor, " batch"]
Logits = Float[Tensor, "batch x y z"]


def channel_widths(side: int, *, base_channels: int, max_channels: int) -> list[int]:
    """Channels of the maps of side 4, 8, ... side / 2: `base_channels` in the last, doubling towards the first."""
    map_sides = [BASE_SIDE * 2**level for level in range((side // BASE_SIDE).bit_length() - 1)]
    return [min(base_channels * side // (2 * map_side), max_channels) for map_side in map_sides]


def build_norm(kind: NormName, channels: int) -> nn.Module:
    """A norm of 3-D maps, with gain and offset, or the identity."""
    if kind == "group":
        return build_group_norm(channels)
    return nn.BatchNorm3d(channels) if kind == "batch" else nn.Identity()


class StyleVoxels(nn.Module):
    """StyleGAN2 in 3-D, without noise inputs: from a latent, and a class embedding if there are classes, to logits."""

    def __init__(self, config: VoxelGeneratorConfig, widths: list[int], *, condition: int):
        super().__init__()
        self.mapping = MappingNetwork(config.style, config.latent_dim, condition=condition)
        self.synthesis = StyleSynthesis(3, widths, 1, config=config.style, start=[BASE_SIDE] * 3)

    def map_latents(
        self,
        latent: Latent,
        condition: Float[Tensor, "batch condition"] | None = None,
        *,
        truncation: float | None = None,
    ) -> Styles:
        """The styles of latents, the same for every layer."""
        w = self.mapping(latent, condition, truncation=truncation)
        return repeat_styles(w, self.synthesis.num_styles)


class VoxelGenerator(HubModel):
    """From a latent to the logits of an object's occupancy: 3D-GAN's transposed convolutions, or a style generator.

    With classes, each class has an embedding, and so does an unknown class; with an aggregate prior, each class has a
    Gaussian in latent space instead.
    """

    def __init__(self, config: VoxelGeneratorConfig, shape: VoxelShape):
        super().__init__(config, shape)
        self.config, self.shape = config, shape
        classes = len(shape.classes)
        self.prior = AggregatePrior(max(classes, 1), config.latent_dim) if config.latent_prior == "aggregate" else None
        self.embedding = nn.Embedding(classes + 1, config.embedding_dim) if classes and not self.prior else None
        widths = channel_widths(shape.side, base_channels=config.base_channels, max_channels=config.max_channels)
        self.levels = len(widths) - 1
        """Number of doublings from the coarsest output, 8 voxels a side, to the full resolution."""
        condition = config.embedding_dim if self.embedding else 0
        self.style: StyleVoxels | None = None
        if config.kind == "style":
            self.style = StyleVoxels(config, widths, condition=condition)
        else:
            self.first = nn.Linear(config.latent_dim + condition, widths[0] * BASE_SIDE**3, bias=False)
            self.norms = nn.ModuleList(build_norm(config.norm, width) for width in widths)
            self.ups = nn.ModuleList(
                nn.ConvTranspose3d(before, after, 4, stride=2, padding=1, bias=False)
                for before, after in pairwise([*widths, 1])
            )
        self.offset = nn.Parameter(torch.tensor(-2.0)) if config.output_bias else None
        self.means: nn.Parameter | None = None
        if config.latent_prior == "mixture":
            self.means = nn.Parameter(
                (1 - COMPONENT_STD**2) ** 0.5 * torch.randn(config.mixture_components, config.latent_dim)
            )

    def forward(self, latent: Latent, labels: Labels | None = None, *, truncation: float | None = None) -> Logits:
        """Logits of the occupancy, y up; no label, or the label len(classes), stands for an unknown class.

        For style generators, `truncation` is the fraction of each style's distance from the mean style that is kept.
        """
        if self.style is not None:
            return self.synthesise(self.map_latents(latent, labels, truncation=truncation))
        condition = self._condition(latent, labels)
        latent = latent if condition is None else torch.cat([latent, condition], 1)
        x = rearrange(self.first(latent), "b (c x y z) -> b c x y z", x=BASE_SIDE, y=BASE_SIDE, z=BASE_SIDE)
        # batch width side side side, from side 4 on
        for norm, up in zip(self.norms, self.ups, strict=True):
            x = up(F.relu(norm(x)))
        return self._finish(x)

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Compiles the modules that training calls, in a style generator its two parts; as `nn.Module.compile`."""
        if self.style is None:
            super().compile(*args, **kwargs)
        else:
            self.style.mapping.compile(*args, **kwargs)
            self.style.synthesis.compile(*args, **kwargs)

    def map_latents(self, latent: Latent, labels: Labels | None = None, *, truncation: float | None = None) -> Styles:
        """The styles of latents, for style generators only."""
        assert self.style is not None
        return self.style.map_latents(latent, self._condition(latent, labels), truncation=truncation)

    def synthesise(self, styles: Styles) -> Logits:
        """Logits of the occupancy from styles, for style generators only."""
        assert self.style is not None
        return self._finish(self.style.synthesis(styles))

    def _condition(self, latent: Latent, labels: Labels | None) -> Float[Tensor, "batch condition"] | None:
        """The embeddings of the classes."""
        if self.embedding is None:
            return None
        unknown = torch.full((len(latent),), len(self.shape.classes), device=latent.device)
        return self.embedding(unknown if labels is None else labels)

    def _finish(self, x: Float[Tensor, "batch 1 x y z"]) -> Logits:
        x = x.squeeze(1)
        if self.config.symmetric:
            x = (x + x.flip(1)) / 2  # x runs from left to right
        return x if self.offset is None else x + self.offset

    def sample_latents(
        self, rng: SampleRandom, batch: int, labels: Labels | None = None, *, truncation: float | None = None
    ) -> Latent:
        """`batch` latents from the prior, differentiable in the means of a mixture.

        Only an aggregate prior depends on the labels. A truncation bounds the magnitude of the normal noise; a style
        generator ignores it, since its styles are truncated instead. Raises ValueError if it is negative, or the prior
        is uniform.
        """
        if self.style is not None:
            truncation = None
        if self.prior is not None:
            return self.prior.sample(rng, batch, labels, truncation=truncation)
        shape = batch, self.config.latent_dim
        if self.means is not None:
            component = self.means[rng.balanced(batch, len(self.means))]
            return component + COMPONENT_STD * rng.normal(*shape, truncation=truncation)
        if self.config.latent_prior == "normal":
            return rng.normal(*shape, truncation=truncation)
        if truncation is not None:
            raise ValueError("truncation is for normal latents; those of this model are uniform")
        return rng.uniform(*shape)

    @torch.no_grad()
    def sample(
        self, count: int, *, seed: int = 0, label: str | None = None, truncation: float | None = None
    ) -> Float[Tensor, "count x y z"]:
        """Occupancy probabilities of `count` objects from noise, on the CPU; object n does not depend on `count`.

        Raises ValueError for an unknown class or a count below 1, and as `sample_latents` does.
        """
        if count < 1:
            raise ValueError(f"count must be at least 1, got {count}")
        seeds = range(seed, seed + count)
        latent = torch.cat([self.latent_from_seed(each, label=label, truncation=truncation) for each in seeds])
        return self.decode(latent, label=label, truncation=truncation)

    @torch.no_grad()
    def latent_from_seed(self, seed: int, *, label: str | None = None, truncation: float | None = None) -> Latent:
        """The latent that a seed determines, as a batch of one.

        Raises ValueError for an unknown class, and as `sample_latents` does.
        """
        rng = SampleRandom(seed, device=self.device)
        return self.sample_latents(rng, 1, self._label_tensor(label), truncation=truncation)

    @torch.no_grad()
    def decode(
        self, latent: Latent, *, label: str | None = None, truncation: float | None = None
    ) -> Float[Tensor, "batch x y z"]:
        """Occupancy probabilities of the objects of these latents, on the CPU, decoded one at a time to bound the
        memory.

        A truncation applies to the styles of a style generator; other generators truncate latents when they are drawn.
        Raises ValueError for an unknown class or a negative truncation.
        """
        labels, truncation = self._label_tensor(label), truncation if self.style else None
        objects = (self(each[None].to(self.device), labels, truncation=truncation) for each in latent)
        return torch.cat([logits.sigmoid().cpu() for logits in objects])

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return next(self.parameters()).device

    def _label_tensor(self, label: str | None) -> Labels | None:
        """The label of a class, as a batch of one. Raises ValueError for an unknown class."""
        if label is None:
            return None
        return torch.tensor([self.shape.class_index(label)], device=self.device)
