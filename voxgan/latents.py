"""Latents of seeds, of pictures, and of object files (by projection), and interpolation between them."""

import io
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from PIL import Image
from torch import Tensor

from gancore.files.limits import ShapeLimits
from voxgan.commands import ExportConfig
from voxgan.data.layouts import IMAGE_SUFFIXES, find_in_file
from voxgan.data.prepared import Recipe, prepare_shape
from voxgan.data.stored_voxels import filled_voxels
from voxgan.metrics.occupancy import iou
from voxgan.networks.generator import Latent, VoxelGenerator
from voxgan.networks.image_to_voxels import ImageToVoxels, VoxelModel, interpolate_latents, object_generator
from voxgan.objective import reconstruction_loss

VIEWS, VIEW_SIZE = 3, 128
"""Rendered pictures of an object file whose encoding a projection starts from, and their width and height in pixels."""
STARTS = 32
"""Without an encoder, a projection starts from the best of this many seeds."""
LEARNING_RATE = 0.05
THRESHOLD = 0.5


def find_latent(given: str, model: VoxelModel, config: ExportConfig) -> tuple[Latent, str]:
    """The latent of a seed, a picture, or an object file, as a batch of one, and a line that describes its origin.

    Raises ValueError or OSError if a file cannot be read, is neither a picture nor an object, or shows no object; if
    the model has no encoder for pictures; or if a class is given that has no effect.
    """
    generator = object_generator(model)
    if given.isdecimal():
        latent = generator.latent_from_seed(int(given), label=config.class_, truncation=config.truncation)
        return latent, f"seed {given}"
    path = Path(given)
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}; latents are seeds, pictures, or files of objects")
    if config.class_ is not None and generator.embedding is None:
        generator.shape.class_index(config.class_)
        raise ValueError(
            f"class {config.class_!r} has no effect for {path}: this model uses classes only for objects from noise"
        )
    if path.suffix.lower() in IMAGE_SUFFIXES:
        if not isinstance(model, ImageToVoxels):
            raise ValueError(f"{path}: this model has no encoder, and so no latents of pictures")
        return model.encode([path], limits=config).mean, f"picture {path}"
    latent, before, after = project_object(path, model, steps=config.projection_steps)
    scores = f"IoU {before:.2f} at first and {after:.2f} after {config.projection_steps} steps"
    return latent, f"{path}: projected, {scores}"


def project_object(path: Path, model: VoxelModel, *, steps: int) -> tuple[Latent, float, float]:
    """Project a mesh or voxel file into latent space: the latent whose object is most like it, found by Adam.

    The loss is the mean binary cross-entropy plus 1 - soft IoU of the voxels. The search starts from the encoding of
    rendered views, or without an encoder from the best of STARTS seeds.

    Returns:
        The latent as a batch of one, and the IoU of its object with the file's before and after the search.

    Raises:
        ValueError: The file cannot be read, or does not hold exactly one object.
        OSError: The file cannot be read.
    """
    generator = object_generator(model)
    sources = find_in_file(path)
    if len(sources) != 1:
        raise ValueError(f"{path} holds {len(sources)} objects; give a file of one object")
    recipe = Recipe(
        **vars(ShapeLimits()),
        side=generator.shape.side,
        occupancy="binary",
        views=VIEWS if isinstance(model, ImageToVoxels) else 0,
        view_size=VIEW_SIZE,
        up=None,
        front=None,
        quality=None,
        seed=0,
    )
    shape = prepare_shape(sources[0], recipe)
    truth = torch.from_numpy(filled_voxels(shape.voxels))[None].to(generator.device)
    if isinstance(model, ImageToVoxels):
        start = model.encode([Image.open(io.BytesIO(view)) for view in shape.views]).mean
    else:
        seeds = torch.cat([generator.latent_from_seed(seed) for seed in range(STARTS)])
        start = seeds[[int(np.argmax([overlap(generator, seed[None], truth) for seed in seeds]))]]
    start = start.to(truth.device)
    found = descend(generator, start, truth.float(), steps=steps)
    return found, overlap(generator, start, truth), overlap(generator, found, truth)


def descend(generator: VoxelGenerator, start: Latent, truth: Float[Tensor, "1 x y z"], *, steps: int) -> Latent:
    """The latent with the smallest loss among `steps` steps of Adam from `start`."""
    latent = start.clone().requires_grad_()
    optimizer = torch.optim.Adam([latent], lr=LEARNING_RATE)
    best, found = float("inf"), start
    for _ in range(steps):
        logits = generator(latent)
        loss = torch.stack([reconstruction_loss(logits, truth, by=name) for name in ("mean_bce", "soft_iou")]).sum()
        if loss.item() < best:
            best, found = loss.item(), latent.detach().clone()
        optimizer.zero_grad()
        latent.grad = torch.autograd.grad(loss, latent)[0]
        optimizer.step()
    return found


@torch.no_grad()
def overlap(generator: VoxelGenerator, latent: Latent, truth: Bool[Tensor, "1 x y z"]) -> float:
    """The IoU of a latent's object with the true one."""
    return iou(generator(latent).sigmoid() > THRESHOLD, truth).item()


def interpolate_sequence(latents: Sequence[Latent], count: int) -> Float[Tensor, "count latent"]:
    """`count` latents along the interpolation from each latent to the next, first and last included."""
    if len(latents) == 1:
        return latents[0].expand(count, -1)
    fine = [interpolate_latents(*pair, count=count) for pair in pairwise(latents)]
    path = torch.cat([fine[0], *(part[1:] for part in fine[1:])])
    return path[torch.linspace(0, len(path) - 1, count).round().long()]
