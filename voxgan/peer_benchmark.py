"""Comparisons of the cost of training, preparation and meshing of objects with other implementations."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise, repeat
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
import trimesh
from jaxtyping import Float
from skimage.measure import marching_cubes
from torch import Tensor, nn

from gancore.benchmark import count_parameters
from gancore.comparison import OURS, Comparison
from gancore.training.launch import create_accelerator
from gancore.training.trainer import Trainer
from voxgan.benchmark import benchmark_meshes, libigl_winding_numbers, noise_batch, soft_torus, write_glb
from voxgan.build import build_discriminator, build_generator
from voxgan.config import VoxelConfig, VoxelShape
from voxgan.data.dataset import collate
from voxgan.mesh.voxelise import voxelise
from voxgan.objective import VoxelObjective

PLAIN_WIDTHS = (512, 256, 128, 64)
"""Channels of the textbook 3D-GAN's maps of side 4, 8, 16 and 32; for smaller objects, the first are left out."""


class PlainGenerator(nn.Sequential):
    """A textbook generator of 3D-GAN (Wu et al. 2016): transposed convolutions from side 1."""

    def __init__(self, latent: int, side: int):
        widths = [*PLAIN_WIDTHS[1 - (side // 4).bit_length() :], 1]
        layers: list[nn.Module] = [nn.ConvTranspose3d(latent, widths[0], 4)]
        for before, after in pairwise(widths):
            layers += [
                nn.BatchNorm3d(before),
                nn.ReLU(),
                nn.ConvTranspose3d(before, after, 4, stride=2, padding=1),
            ]
        super().__init__(*layers)


class PlainDiscriminator(nn.Sequential):
    """A textbook discriminator of 3D-GAN, the mirror image of its generator."""

    def __init__(self, side: int):
        widths = [*PLAIN_WIDTHS[1 - (side // 4).bit_length() :], 1][::-1]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [
                nn.Conv3d(before, after, 4, stride=2, padding=1),
                nn.BatchNorm3d(after),
                nn.LeakyReLU(0.2),
            ]
        super().__init__(*layers, nn.Conv3d(widths[-1], 1, 4))


def compare_training(config: VoxelConfig, folder: Path, *, side: int) -> Comparison:
    """Compare an update of both networks of 3D-GAN with the same in textbook PyTorch."""
    shape = VoxelShape(side=side)
    players = build_generator(config, shape), build_discriminator(config, shape)
    trainer = Trainer(
        folder,
        config.train,
        generator=players[0],
        discriminator=players[1],
        objective=VoxelObjective(config.objective),
        dataset=(),
        collate=collate,
        accelerator=create_accelerator(config.train),
    )
    trainer.step = 1
    batch = noise_batch(config, side=side)
    latent = config.generator.latent_dim
    plain = PlainGenerator(latent, side), PlainDiscriminator(side)
    optimisers = [torch.optim.Adam(each.parameters()) for each in plain]
    theirs = partial(_plain_step, *plain, optimisers, batch.occupancy, latent=latent)
    name = "textbook 3D-GAN"
    counts = {OURS: sum(map(count_parameters, players)), name: sum(map(count_parameters, plain))}
    return Comparison(partial(trainer.train_step, repeat(batch)), len(batch.occupancy), {name: theirs}, counts)


def _plain_step(
    generator: PlainGenerator,
    discriminator: PlainDiscriminator,
    optimisers: Sequence[torch.optim.Optimizer],
    real: Float[Tensor, "batch x y z"],
    *,
    latent: int,
) -> None:
    """One update of the discriminator, then one of the generator."""
    noise = torch.rand(len(real), latent, 1, 1, 1)
    made = generator(noise).sigmoid()
    scores = discriminator(real[:, None]), discriminator(made.detach())
    loss = F.softplus(-scores[0]).mean() + F.softplus(scores[1]).mean()
    optimisers[1].zero_grad()
    loss.backward()
    optimisers[1].step()
    loss = F.softplus(-discriminator(generator(noise).sigmoid())).mean()
    optimisers[0].zero_grad()
    loss.backward()
    optimisers[0].step()


def compare_preparation(*, side: int) -> dict[str, Comparison]:
    """Compare voxelisation with other libraries; trimesh fills all voxels that the surface touches or encloses."""
    found = {}
    for name, mesh in benchmark_meshes().items():
        others: dict[str, Callable[[], object]] = {
            "libigl, winding numbers alone": partial(libigl_winding_numbers, mesh, side),
            "trimesh, touched cells, filled": partial(_fill_by_trimesh, mesh, side),
        }
        work = partial(voxelise, mesh, side)
        found[f"{name} of {len(mesh.faces)} faces to {side}^3"] = Comparison(work, others=others)
    return found


def _fill_by_trimesh(mesh: trimesh.Trimesh, side: int) -> np.ndarray:
    return mesh.copy().voxelized(1 / side).fill().matrix


def compare_meshing(folder: Path, *, side: int) -> Comparison:
    """Compare the way from probabilities to a closed, smooth mesh in a GLB file with marching cubes alone."""
    soft = soft_torus(side)
    padded = np.pad(soft, 1)
    return Comparison(
        partial(write_glb, soft, folder / "ours.glb"),
        others={
            "scikit-image, faces alone": partial(marching_cubes, padded, 0.5, gradient_direction="ascent"),
            "scikit-image and trimesh, to GLB": partial(_bare_glb, padded, folder / "theirs.glb"),
        },
    )


def _bare_glb(padded: np.ndarray, path: Path) -> None:
    vertices, faces, *_ = marching_cubes(padded, 0.5, gradient_direction="ascent")
    trimesh.Trimesh(vertices, faces).export(path)
