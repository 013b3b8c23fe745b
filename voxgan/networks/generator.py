"""VoxelGenerator: noise in, an object out (3D-GAN, Wu et al. 2016)."""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from gancore.data import SampleRandom
from gancore.hub import HubModel

BASE_SIDE = 4
"""Side of the map that a generator starts from and a discriminator ends at."""

COMPONENT_STD = 0.5
"""Standard deviation of each Gaussian of a mixture; its means start where they make that of the whole 1."""

NormName = Literal["batch", "group", "none"]
Latent = Float[Tensor, "batch latent"]
Labels = Int[Tensor, " batch"]
Logits = Float[Tensor, "batch x y z"]


@dataclass(frozen=True, kw_only=True)
class VoxelShape:
    """What the objects are."""

    side: int = 32
    """Voxels along each side of the cube."""

    classes: tuple[str, ...] = ()
    """Names of the classes in the order of their labels; none for a model without classes."""

    def __post_init__(self) -> None:
        if self.side not in (8, 16, 32, 64, 128, 256):
            raise ValueError(f"side must be 8, 16, 32, 64, 128 or 256, got {self.side}")

    def class_index(self, name: str) -> int:
        """The label of a class. Raises ValueError naming the classes there are."""
        if name not in self.classes:
            known = f"there are {', '.join(self.classes)}" if self.classes else "the model has no classes"
            raise ValueError(f"no class is called {name!r}; {known}")
        return self.classes.index(name)


@dataclass(frozen=True, kw_only=True)
class VoxelGeneratorConfig:
    """The player who makes objects; the defaults are the modern preset."""

    latent_dim: int = 128
    """Numbers an object is made of."""

    latent_prior: Literal["normal", "uniform", "mixture"] = "normal"
    """Where they are drawn from: N(0, 1); U[0, 1] as in the 3D-GAN paper; or Gaussians around means that are learned
    (DeLiGAN, Gurumurthy et al. 2017), for few objects of many kinds."""

    mixture_components: int = 32
    """Gaussians in the mixture."""

    base_channels: int = 32
    """Width at half the side; it doubles with every halving of the map."""

    max_channels: int = 256
    """Width at which that stops."""

    norm: NormName = "group"
    """Norm of hidden maps: batch as in the paper, group norm, which knows no batch, or none."""

    embedding_dim: int = 32
    """Numbers a class is embedded in, joined to the latent; of a model with classes only."""

    symmetric: bool = False
    """Make every object its own mirror image, left to right, as most furniture is."""

    output_bias: bool = True
    """An offset of the logits, by which most of space starts empty; the paper's models have none."""

    def __post_init__(self) -> None:
        if self.mixture_components < 1:
            raise ValueError(f"components must be at least 1, got {self.mixture_components}")


def channel_widths(side: int, *, channels: int, most: int) -> list[int]:
    """Widths of the maps with sides 4, 8, ... side / 2."""
    maps = [BASE_SIDE * 2**level for level in range((side // BASE_SIDE).bit_length() - 1)]
    return [min(channels * side // (2 * size), most) for size in maps]


def build_norm(kind: NormName, channels: int) -> nn.Module:
    """A norm over 3-D maps, with gain and offset."""
    if kind == "group":
        return nn.GroupNorm(max(g for g in range(1, 9) if channels % g == 0), channels)
    return nn.BatchNorm3d(channels) if kind == "batch" else nn.Identity()


class VoxelGenerator(HubModel):
    """Transposed convolutions from a latent to the logits of an object's occupancy, doubling the map from 4 voxels on.

    With classes, every class has an embedding, and there is one more for objects whose class is not told.
    """

    def __init__(self, config: VoxelGeneratorConfig, shape: VoxelShape):
        super().__init__(config, shape)
        self.config, self.shape = config, shape
        classes = len(shape.classes)
        self.embedding = nn.Embedding(classes + 1, config.embedding_dim) if classes else None
        channels = channel_widths(shape.side, channels=config.base_channels, most=config.max_channels)
        self.first = nn.Linear(
            config.latent_dim + (config.embedding_dim if classes else 0), channels[0] * BASE_SIDE**3, bias=False
        )
        self.norms = nn.ModuleList(build_norm(config.norm, width) for width in channels)
        pairs = zip(channels, [*channels[1:], 1], strict=True)
        self.ups = nn.ModuleList(nn.ConvTranspose3d(a, b, 4, stride=2, padding=1, bias=False) for a, b in pairs)
        self.offset = nn.Parameter(torch.tensor(-2.0)) if config.output_bias else None
        self.means: nn.Parameter | None = None
        if config.latent_prior == "mixture":
            self.means = nn.Parameter(
                (1 - COMPONENT_STD**2) ** 0.5 * torch.randn(config.mixture_components, config.latent_dim)
            )

    def forward(self, latent: Latent, labels: Labels | None = None) -> Logits:
        """Logits of the occupancy, y up; a label equal to the number of classes, or none, leaves the class open."""
        if self.embedding is not None:
            unknown = torch.full((len(latent),), len(self.shape.classes), device=latent.device)
            latent = torch.cat([latent, self.embedding(unknown if labels is None else labels)], 1)
        x = rearrange(self.first(latent), "b (c x y z) -> b c x y z", x=BASE_SIDE, y=BASE_SIDE, z=BASE_SIDE)
        for norm, up in zip(self.norms, self.ups, strict=True):
            x = up(F.relu(norm(x)))
        x = x.squeeze(1)
        if self.config.symmetric:
            x = (x + x.flip(1)) / 2
        return x if self.offset is None else x + self.offset

    def sample_latents(self, draws: SampleRandom, batch: int) -> Latent:
        """Latents from the prior, with a gradient to the means of a mixture."""
        shape = batch, self.config.latent_dim
        if self.means is not None:
            return self.means[draws.balanced(batch, len(self.means))] + COMPONENT_STD * draws.normal(*shape)
        return draws.normal(*shape) if self.config.latent_prior == "normal" else draws.uniform(*shape)

    @torch.no_grad()
    def sample(self, count: int, *, seed: int = 0, label: str | None = None) -> Float[Tensor, "count x y z"]:
        """Probabilities of objects from noise, on the CPU; object n is the same however many are asked for.

        Raises ValueError if there is no such class.
        """
        latent = torch.cat([self.latent_from_seed(seed + number) for number in range(count)])
        return self.decode(latent, label=label)

    @torch.no_grad()
    def latent_from_seed(self, seed: int) -> Latent:
        """The one latent of a seed."""
        return self.sample_latents(SampleRandom(seed, device=self.first.weight.device), 1)

    @torch.no_grad()
    def decode(self, latent: Latent, *, label: str | None = None) -> Float[Tensor, "batch x y z"]:
        """Probabilities of the objects of these latents, on the CPU, one at a time to bound the memory.

        Raises ValueError if there is no such class.
        """
        device = self.first.weight.device
        labels = None if label is None else torch.tensor([self.shape.class_index(label)], device=device)
        return torch.cat([self(each[None].to(device), labels).sigmoid().cpu() for each in latent])
