"""ImageToVoxels: from images of an object to its occupancy (3D-VAE-GAN); and loading either voxel model."""

import math
import os
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from gancore.files.limits import ReadingLimits
from gancore.hub import HubModel, load_either
from gancore.rng import SampleRandom
from voxgan.config import VoxelEncoderConfig, VoxelGeneratorConfig, VoxelShape
from voxgan.files.images import ImageInput, cut_out_object, encode_views, frame_object
from voxgan.networks.encoder import ImageEncoder, Posterior, Views
from voxgan.networks.generator import Labels, Latent, Logits, VoxelGenerator


class ImageToVoxels(HubModel):
    """A variational encoder of one or several images, and a generator from its latent (3D-VAE-GAN, Wu et al. 2016)."""

    def __init__(self, encoder: VoxelEncoderConfig, generator: VoxelGeneratorConfig, shape: VoxelShape):
        super().__init__(encoder, generator, shape)
        self.shape = shape
        self.encoder = ImageEncoder(encoder, generator.latent_dim)
        self.generator = VoxelGenerator(generator, shape)

    def forward(
        self, views: Views, labels: Labels | None = None, view_mask: Bool[Tensor, "batch views"] | None = None
    ) -> Logits:
        """Logits of each object's occupancy at the mean of its posterior; views whose mask is False are ignored."""
        return self.generator(self.encoder(views, view_mask).mean, labels)

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Compiles encoder and generator, since training calls each by itself; arguments as in `nn.Module.compile`."""
        self.encoder.compile(*args, **kwargs)
        self.generator.compile(*args, **kwargs)

    @torch.no_grad()
    def encode(
        self,
        images: Sequence[ImageInput],
        *,
        masks: Sequence[ImageInput] | None = None,
        limits: ReadingLimits = ReadingLimits(),
    ) -> Posterior:
        """The posterior of the one object that all images show, as a batch of one on the CPU.

        Raises ValueError if an image cannot be read or shows no object, or images and masks differ in number.
        """
        if not images:
            raise ValueError("at least one image is needed")
        config = self.encoder.config
        image_masks: Sequence[ImageInput | None] = masks or [None] * len(images)
        if len(image_masks) != len(images):
            raise ValueError(f"{len(image_masks)} masks for {len(images)} images")
        objects = [
            frame_object(cut_out_object(image, mask, limits=limits), config.size)
            for image, mask in zip(images, image_masks, strict=True)
        ]
        views = encode_views(objects, mask=config.mask).to(self.encoder.head.weight.device)
        posterior = self.encoder(views[None])
        cameras = None if posterior.cameras is None else posterior.cameras.cpu()
        return Posterior(posterior.mean.cpu(), posterior.log_variance.cpu(), cameras)

    def check_label(self, label: str | None) -> None:
        """Raises ValueError if the model has no such class, or reconstructs objects without regard to classes."""
        if label is None:
            return
        self.shape.class_index(label)
        if self.generator.embedding is None:
            raise ValueError(
                f"class {label!r} has no effect for pictures: this model uses classes only for objects from noise"
            )

    def reconstruct(
        self,
        images: Sequence[ImageInput],
        *,
        masks: Sequence[ImageInput] | None = None,
        samples: int | None = None,
        seed: int = 0,
        label: str | None = None,
        limits: ReadingLimits = ReadingLimits(),
    ) -> Float[Tensor, "samples x y z"]:
        """Occupancy probabilities in [0, 1] of the one object that all images show.

        Args:
            images: Files, Pillow images or uint8 arrays; `files.images.cut_out_object` segments the object.
            masks: A mask for each image.
            samples: Number of latents drawn from the posterior; if None, its mean is used.
            seed: Seed of the first sample; sample n has the seed `seed` + n.
            label: Name of the object's class.
            limits: Limits on the files that are read.

        Raises:
            ValueError: An image cannot be read or shows no object, or the model does not use the class.
        """
        self.check_label(label)
        return self.decode(self.encode(images, masks=masks, limits=limits), samples=samples, seed=seed, label=label)

    def decode(
        self, posterior: Posterior, *, samples: int | None = None, seed: int = 0, label: str | None = None
    ) -> Float[Tensor, "samples x y z"]:
        """Occupancy probabilities of one object from its posterior; see `reconstruct`."""
        latent = posterior.mean
        if samples:
            noise = torch.cat([SampleRandom(seed + number).normal(1, latent.shape[1]) for number in range(samples)])
            latent = posterior.sample(noise)
        return self.generator.decode(latent, label=label)


VoxelModel = ImageToVoxels | VoxelGenerator


def object_generator(model: VoxelModel) -> VoxelGenerator:
    """The part of a model that generates objects from latents: all of it if it has no encoder."""
    return model.generator if isinstance(model, ImageToVoxels) else model


def load_model(folder_or_repo: str | os.PathLike[str]) -> VoxelModel:
    """Loads an ImageToVoxels or a VoxelGenerator from a folder or a Hub repository, in eval mode on the CPU.

    Raises ValueError if there is no such model, or it is of another class.
    """
    return load_either(folder_or_repo, ImageToVoxels, VoxelGenerator)


def interpolate_latents(first: Latent, last: Latent, *, count: int) -> Float[Tensor, "count latent"]:
    """`count` latents from `first` to `last`, ends included, by spherical linear interpolation (slerp, Shoemake 1985).

    The interpolation is linear where the great circle is not unique: if a latent is 0, or both are parallel.
    """
    a, b = (F.normalize(vector, dim=0) for vector in (first[0], last[0]))
    angle = torch.acos((a @ b).clamp(-1, 1))
    along = torch.linspace(0, 1, count)[:, None]
    if not 1e-3 < angle < math.pi - 1e-3 or not a.any() or not b.any():
        return torch.lerp(first, last, along)
    return (torch.sin((1 - along) * angle) * first + torch.sin(along * angle) * last) / torch.sin(angle)
