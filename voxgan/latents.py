"""Latents of things: of seeds, of pictures, and of object files by projection; and what lies between them."""

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
from voxgan.networks.image_to_voxels import ImageToVoxels, interpolate_latents
from voxgan.objective import reconstruction_loss

VIEWS, VIEW_SIZE = 3, 128
"""Pictures of an object file from which an encoder tells where to begin, and their width and height."""
STARTS = 32
"""Seeds of which the best is where a projection begins without an encoder."""
LEARNING_RATE = 0.05
THRESHOLD = 0.5

Model = ImageToVoxels | VoxelGenerator


def find_latent(given: str, model: Model, config: ExportConfig) -> tuple[Latent, str]:
    """The latent of a seed, a picture, or an object file, as a batch of one, and a line that says where it is from.

    Raises ValueError or OSError if a file cannot be read, is neither, or shows no object, if pictures are given to a
    model that makes objects from noise alone, or a class that would change nothing.
    """
    generator = model.generator if isinstance(model, ImageToVoxels) else model
    if given.isdecimal():
        latent = generator.latent_from_seed(int(given), label=config.class_, truncation=config.truncation)
        return latent, f"seed {given}"
    path = Path(given)
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}; latents are seeds, pictures, or files of objects")
    if config.class_ is not None and generator.embedding is None:
        generator.shape.class_index(config.class_)
        raise ValueError(
            f"class {config.class_!r} is of no use for {path}: this model takes a class only for objects from noise"
        )
    if path.suffix.lower() in IMAGE_SUFFIXES:
        if not isinstance(model, ImageToVoxels):
            raise ValueError(f"{path}: this model makes objects from noise alone, and has no latents of pictures")
        return model.encode([path], limits=config).mean, f"picture {path}"
    latent, before, after = project_object(path, model, steps=config.projection_steps)
    said = f"IoU {before:.2f} at first and {after:.2f} after {config.projection_steps} steps"
    return latent, f"{path}: projected, {said}"


def project_object(path: Path, model: Model, *, steps: int) -> tuple[Latent, float, float]:
    """The latent whose object is most like that of a file of a mesh or voxels, and the IoU of both at first and last.

    It begins at what an encoder makes of pictures of the object, or else at the best of STARTS seeds, and descends the
    cross-entropy and 1 - IoU of the voxels by Adam. Raises ValueError or OSError if the file cannot be read, or holds
    no object or several.
    """
    generator = model.generator if isinstance(model, ImageToVoxels) else model
    sources = find_in_file(path)
    if len(sources) != 1:
        raise ValueError(f"{path} holds {len(sources)} objects; give a file of one")
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
    """The latent with the smallest loss of `steps` of Adam from `start`."""
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
    """The IoU of the object of a latent with the true one."""
    return iou(generator(latent).sigmoid() > THRESHOLD, truth).item()


def lead_through(latents: Sequence[Latent], count: int) -> Float[Tensor, "count latent"]:
    """`count` latents on the way from each to the next, the first and the last included."""
    if len(latents) == 1:
        return latents[0].expand(count, -1)
    fine = [interpolate_latents(*pair, count=count) for pair in pairwise(latents)]
    way = torch.cat([fine[0], *(part[1:] for part in fine[1:])])
    return way[torch.linspace(0, len(way) - 1, count).round().long()]
