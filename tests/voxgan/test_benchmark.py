"""How fast voxel models train, and meshes become voxels and voxels meshes."""

from dataclasses import replace

import numpy as np
import pytest
from support.toys import ENCODER, GENERATOR, JUDGE, SIDE

from gancore.benchmark import report
from gancore.config import TrainConfig
from gancore.losses import Penalties
from voxgan.benchmark import meshes, meshing_report, noise, preparing_report, soft_torus, speed
from voxgan.config import VoxelConfig
from voxgan.mesh.surface import from_occupancy
from voxgan.objective import VoxelObjective

CONFIG = VoxelConfig(encoder=ENCODER, generator=GENERATOR, discriminator=JUDGE, train=TrainConfig(batch=2, cpu=True))


@pytest.mark.parametrize("kind", ["small", "none"])
def test_training_costs_more_than_making_objects(kind):
    config = replace(CONFIG, encoder=replace(ENCODER, kind=kind))
    found = speed(config, side=SIDE, repeats=1)
    assert 2 * found.inference.flops < found.training.flops
    assert 0 < found.inference.peak <= found.training.peak
    assert min(found.inference.seconds, found.training.seconds, found.generator, found.discriminator) > 0
    lines = report({"small": found}, item="shape", inference="making objects").splitlines()
    assert [line.partition("  ")[0] for line in lines[1:]] == ["small: training step", "small: making objects"]
    assert "shapes/s" in lines[0]


def test_a_rare_penalty_counts_at_its_share():
    costs = {}
    for every in (1, 4, 400):
        objective = VoxelObjective(penalties=Penalties(r1=1.0, r2=1.0, every=every))
        costs[every] = speed(replace(CONFIG, objective=objective), side=SIDE, repeats=1).training.flops
    assert costs[400] < costs[4] < costs[1]
    assert costs[4] == pytest.approx((3 * costs[400] + costs[1]) / 4, rel=0.01)


def test_noise_has_the_shape_of_the_data():
    batch = noise(CONFIG, side=SIDE)
    assert batch.views.shape == (2, 1, 4, 16, 16)
    assert batch.occupancy.shape == (2, SIDE, SIDE, SIDE)
    assert noise(replace(CONFIG, encoder=replace(ENCODER, kind="none")), side=SIDE).views.shape[1] == 0


def test_the_meshes_measured_are_sound():
    for mesh in meshes().values():
        assert np.ptp(mesh.vertices, axis=0).max() == pytest.approx(1)
        assert mesh.is_watertight


def test_the_torus_that_is_meshed_is_one():
    mesh = from_occupancy(soft_torus(32))
    assert mesh.euler_number == 0
    assert mesh.volume == pytest.approx(2 * np.pi**2 * 0.33 * 0.13**2, rel=0.05)


def test_each_cost_stands_beside_that_of_the_bare_library():
    lines = preparing_report(sides=(8,), repeats=1).splitlines()
    assert "bare winding numbers 8^3" in lines[0]
    assert [line.partition(",")[0] for line in lines[1:]] == ["table", "torus"]
    head, row = meshing_report(sides=(16,), repeats=1).splitlines()
    assert head.split()[-3:] == ["GLB", "/", "bare"]
    whole, _, bare, ratio = map(float, row.split()[-4:])
    assert row.startswith("16^3")
    assert whole > bare
    assert ratio > 1
