"""ImageToVoxels: pictures of an object in, the object out (3D-VAE-GAN); and how a trained model is found."""

import os
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gancore.hub import HubModel
from gancore.rng import SampleRandom
from voxgan.config import VoxelEncoderConfig, VoxelGeneratorConfig, VoxelShape
from voxgan.files.images import ImageInput, cut_out_object, encode_views, frame_object
from voxgan.networks.encoder import ImageEncoder, Posterior, Views
from voxgan.networks.generator import Labels, Latent, Logits, VoxelGenerator


class ImageToVoxels(HubModel):
    """A variational encoder of one or several pictures and the generator it shares its latent with."""

    def __init__(self, encoder: VoxelEncoderConfig, generator: VoxelGeneratorConfig, shape: VoxelShape):
        super().__init__(encoder, generator, shape)
        self.shape = shape
        self.encoder = ImageEncoder(encoder, generator.latent_dim)
        self.generator = VoxelGenerator(generator, shape)

    def forward(
        self, views: Views, labels: Labels | None = None, seen: Bool[Tensor, "batch views"] | None = None
    ) -> Logits:
        """Logits of the object at the posterior's mean."""
        return self.generator(self.encoder(views, seen).mean, labels)

    @torch.no_grad()
    def encode(self, pictures: Sequence[ImageInput], *, masks: Sequence[ImageInput] | None = None) -> Posterior:
        """The posterior of the one object that all pictures show, as a batch of one on the CPU.

        Raises ValueError if a picture cannot be read or shows no object.
        """
        if not pictures:
            raise ValueError("at least one picture is needed")
        config = self.encoder.config
        given: Sequence[ImageInput | None] = masks or [None] * len(pictures)
        if len(given) != len(pictures):
            raise ValueError(f"{len(given)} masks for {len(pictures)} pictures")
        objects = [frame_object(cut_out_object(*pair), config.size) for pair in zip(pictures, given, strict=True)]
        views = encode_views(objects, mask=config.mask).to(self.encoder.head.weight.device)
        return Posterior(*(part.cpu() for part in self.encoder(views[None])))

    def reconstruct(
        self,
        pictures: Sequence[ImageInput],
        *,
        masks: Sequence[ImageInput] | None = None,
        samples: int = 0,
        seed: int = 0,
        label: str | None = None,
    ) -> Float[Tensor, "samples x y z"]:
        """Probabilities of the one object that all pictures show: at the posterior's mean, or of `samples` draws.

        Pictures are files, Pillow images or uint8 arrays; see pictures.segmented for how the object is cut out. Raises
        ValueError if a picture cannot be read or shows no object, or there is no such class.
        """
        posterior = self.encode(pictures, masks=masks)
        latent = posterior.mean
        if samples:
            noise = torch.cat([SampleRandom(seed + number).normal(1, latent.shape[1]) for number in range(samples)])
            latent = posterior.sample(noise)
        return self.generator.decode(latent, label=label)


def load_model(folder_or_repo: str | os.PathLike[str]) -> ImageToVoxels | VoxelGenerator:
    """The model of a folder or a Hub repository, whichever of the two it is, in eval mode on the CPU.

    Raises ValueError if it is neither.
    """
    kinds: dict[str, type[ImageToVoxels] | type[VoxelGenerator]] = {
        kind.__name__: kind for kind in (ImageToVoxels, VoxelGenerator)
    }
    kind = HubModel.class_name(folder_or_repo)
    if kind not in kinds:
        raise ValueError(f"{folder_or_repo} holds a {kind}, not one of {', '.join(kinds)}")
    return kinds[kind].from_pretrained(folder_or_repo)


def interpolate_latents(first: Latent, last: Latent, *, count: int) -> Float[Tensor, "count latent"]:
    """Latents along the great circle from one to the other (spherical interpolation), both ends included."""
    a, b = (vector / vector.norm() for vector in (first[0], last[0]))
    angle = torch.acos((a @ b).clamp(-1, 1))
    along = torch.linspace(0, 1, count)[:, None]
    if angle < 1e-3:
        return torch.lerp(first, last, along)
    return (torch.sin((1 - along) * angle) * first + torch.sin(along * angle) * last) / torch.sin(angle)
