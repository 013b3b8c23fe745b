"""How fast voxel models train, and meshes become voxels and voxels meshes."""

from dataclasses import replace

import numpy as np
import pytest
from support.toys import ENCODER, GENERATOR, JUDGE, SIDE

from gancore.benchmark import format_throughput_table
from gancore.config import PenaltyConfig, TrainConfig
from voxgan.benchmark import (
    benchmark_meshes,
    measure_throughput,
    noise_batch,
    report_meshing,
    report_preparation,
    soft_torus,
)
from voxgan.config import VoxelConfig, VoxelObjectiveConfig
from voxgan.mesh.surface import extract_surface

CONFIG = VoxelConfig(encoder=ENCODER, generator=GENERATOR, discriminator=JUDGE, train=TrainConfig(batch=2, cpu=True))


@pytest.mark.parametrize("kind", ["small", "none"])
def test_training_costs_more_than_making_objects(kind):
    config = replace(CONFIG, encoder=replace(ENCODER, kind=kind))
    found = measure_throughput(config, side=SIDE, repeats=1)
    assert 2 * found.inference_cost.flops < found.training_cost.flops
    assert min(found.inference_cost.peak_bytes, found.training_cost.peak_bytes) > 0  # of all that this process did
    assert (
        min(
            found.inference_cost.seconds,
            found.training_cost.seconds,
            found.generator_parameters,
            found.discriminator_parameters,
        )
        > 0
    )
    lines = format_throughput_table({"small": found}, item="shape", inference="making objects").splitlines()
    assert [line.partition("  ")[0] for line in lines[1:]] == ["small: training step", "small: making objects"]
    assert "shapes/s" in lines[0]


def test_a_rare_penalty_counts_at_its_share():
    costs = {}
    for every in (1, 4, 400):
        objective = VoxelObjectiveConfig(penalties=PenaltyConfig(r1=1.0, r2=1.0, lazy_every=every))
        costs[every] = measure_throughput(
            replace(CONFIG, objective=objective), side=SIDE, repeats=1
        ).training_cost.flops
    assert costs[400] < costs[4] < costs[1]
    assert costs[4] == pytest.approx((3 * costs[400] + costs[1]) / 4, rel=0.01)


def test_noise_has_the_shape_of_the_data():
    batch = noise_batch(CONFIG, side=SIDE)
    assert batch.views.shape == (2, 1, 4, 16, 16)
    assert batch.occupancy.shape == (2, SIDE, SIDE, SIDE)
    assert noise_batch(replace(CONFIG, encoder=replace(ENCODER, kind="none")), side=SIDE).views.shape[1] == 0


def test_the_meshes_measured_are_sound():
    for mesh in benchmark_meshes().values():
        assert np.ptp(mesh.vertices, axis=0).max() == pytest.approx(1)
        assert mesh.is_watertight


def test_the_torus_that_is_meshed_is_one():
    mesh = extract_surface(soft_torus(32))
    assert mesh.euler_number == 0
    assert mesh.volume == pytest.approx(2 * np.pi**2 * 0.33 * 0.13**2, rel=0.05)


def test_each_cost_is_compared_with_the_bare_library():
    lines = report_preparation(sides=(8,), repeats=1).splitlines()
    assert "bare winding numbers 8^3" in lines[0]
    assert [line.partition(",")[0] for line in lines[1:]] == ["table", "torus"]
    head, row = report_meshing(sides=(16,), repeats=1).splitlines()
    assert head.split()[-3:] == ["GLB", "/", "bare"]
    whole, _, bare, ratio = map(float, row.split()[-4:])
    assert row.startswith("16^3")
    assert whole > bare
    assert ratio > 1
