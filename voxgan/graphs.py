"""The graphs that voxel models are exported as: pictures to a latent, a latent to voxels, and noise to a latent."""

import torch
from torch import Tensor, nn

from gancore.graphs import DYNAMIC_SIZE, Graph, Port, infer_outputs
from voxgan.files.images import FRAME_MARGIN
from voxgan.networks.aggregate_prior import AggregatePrior
from voxgan.networks.generator import COMPONENT_STD, VoxelGenerator
from voxgan.networks.image_to_voxels import ImageToVoxels, VoxelModel, object_generator

PICTURES = (
    "pictures of each object, RGBA in [0, 1] with straight alpha: opaque where the object is, which fills all but "
    f"{FRAME_MARGIN:.0%} at either end of its longer side"
)
MEANINGS = {
    "mean": "the latent of each object",
    "log_variance": "of the latent's Gaussian posterior, whose mean is `mean`",
    "cameras": "logits of the camera that each picture was taken from",
    "latent": "the input of decode",
    "probabilities": "of occupancy, in [0, 1]: x, y (up), z (front)",
}


class EncodePictures(nn.Module):
    """From pictures with their outlines to the posterior of the latent."""

    def __init__(self, model: ImageToVoxels):
        super().__init__()
        self.encoder = model.encoder

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        """(Mean, log-variance and, for an encoder with cameras, the logits of these)."""
        alpha = pictures[:, :, 3:]
        views = (pictures[:, :, :3] * 2 - 1) * alpha  # over grey, as files.images.encode_views does it
        if self.encoder.config.mask:
            views = torch.cat([views, 2 * alpha - 1], 2)
        return tuple(part for part in self.encoder(views) if part is not None)


class DecodeLatent(nn.Module):
    """From latents to the probabilities of occupancy."""

    def __init__(self, generator: VoxelGenerator):
        super().__init__()
        self.generator = generator

    def forward(self, latent: Tensor, label: Tensor | None = None) -> tuple[Tensor]:
        """One object for each latent and label."""
        return (self.generator(latent, label).sigmoid(),)


class DrawLatent(nn.Module):
    """From noise to latents of a mixture of Gaussians, whose component is chosen for each object."""

    def __init__(self, means: Tensor, factors: Tensor):
        """Means (choices latent), and Cholesky factors of the covariances (choices latent latent)."""
        super().__init__()
        self.means: Tensor
        self.factors: Tensor
        self.register_buffer("means", means)
        self.register_buffer("factors", factors)

    def forward(self, noise: Tensor, choice: Tensor) -> tuple[Tensor]:
        """One latent for each noise and choice."""
        return (self.means[choice] + torch.einsum("bzy,by->bz", self.factors[choice], noise),)


def build_graphs(model: VoxelModel) -> list[Graph]:
    """The graphs of a voxel model.

    These are `encode` (pictures to a latent) if it has an encoder, `decode` (latent to probabilities), and `draw`
    (noise to a latent) if its prior is a mixture of Gaussians or an aggregate posterior.
    """
    generator = object_generator(model)
    graphs = [build_decoder(generator), *build_prior(generator)]
    if isinstance(model, ImageToVoxels):
        size = model.encoder.config.size
        example = torch.rand(DYNAMIC_SIZE, DYNAMIC_SIZE, 4, size, size, generator=torch.Generator().manual_seed(0))
        pictures = Port("pictures", example, dynamic=("batch", "views"), meaning=PICTURES)
        names = ["mean", "log_variance", *["cameras"] * (model.encoder.camera_head is not None)]
        dynamic = {"cameras": ("batch", "views")}
        encode = infer_outputs("encode", EncodePictures(model), (pictures,), names, MEANINGS, dynamic=dynamic)
        graphs.insert(0, encode)
    return graphs


def build_decoder(generator: VoxelGenerator) -> Graph:
    """The graph from latents, and class labels if the generator embeds them, to probabilities."""
    config, classes = generator.config, generator.shape.classes
    noise = "numbers from N(0, 1)" if config.latent_prior == "normal" else "numbers from U[0, 1)"
    meaning = "made by encode or draw" if generator.prior or generator.means is not None else noise
    random = torch.Generator().manual_seed(0)
    inputs = [Port("latent", torch.randn(DYNAMIC_SIZE, config.latent_dim, generator=random), meaning=meaning)]
    if generator.embedding is not None:
        inputs.append(Port("label", torch.arange(DYNAMIC_SIZE), meaning=_list_classes([*classes, "not known"])))
    return infer_outputs("decode", DecodeLatent(generator), tuple(inputs), ["probabilities"], MEANINGS)


def build_prior(generator: VoxelGenerator) -> list[Graph]:
    """The graph from noise and the number of a Gaussian to a latent; none if the prior is plain noise."""
    width = generator.config.latent_dim
    if isinstance(generator.prior, AggregatePrior):
        network = DrawLatent(*generator.prior.gaussians())
        meaning = _list_classes(generator.shape.classes or ["any object"])
    elif generator.means is not None:
        means = generator.means.detach()
        network = DrawLatent(means, (COMPONENT_STD * torch.eye(width)).expand(len(means), -1, -1))
        meaning = f"one of the {len(means)} Gaussians, all equally likely"
    else:
        return []
    noise = torch.randn(DYNAMIC_SIZE, width, generator=torch.Generator().manual_seed(0))
    choice = torch.arange(DYNAMIC_SIZE) % len(network.means)
    inputs = Port("noise", noise, meaning="numbers from N(0, 1)"), Port("choice", choice, meaning=meaning)
    return [infer_outputs("draw", network, inputs, ["latent"], MEANINGS)]


def _list_classes(names: list[str] | tuple[str, ...]) -> str:
    return "class: " + ", ".join(f"{number} {name}" for number, name in enumerate(names))
