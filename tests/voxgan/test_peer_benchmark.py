"""Object work beside what else could be used: that both sides do the same, at tiny sizes."""

from dataclasses import replace

import pytest
import torch
import trimesh
from support.toys import ENCODER, GENERATOR, JUDGE, SIDE

from gancore.comparison import OURS
from gancore.config import TrainConfig
from voxgan.config import VoxelConfig
from voxgan.peer_benchmark import (
    PlainDiscriminator,
    PlainGenerator,
    compare_meshing,
    compare_preparation,
    compare_training,
)


@pytest.mark.parametrize("side", [32, 64])
def test_the_textbook_network_doubles_its_side_up_to_that_of_the_object(side):
    with torch.device("meta"):
        made = PlainGenerator(200, side)(torch.zeros(2, 200, 1, 1, 1))
        assert PlainDiscriminator(side)(made).shape == (2, 1, 1, 1, 1)
    assert made.shape == (2, 1, side, side, side)


def test_a_step_changes_the_weights_of_both_sides(tmp_path):
    config = VoxelConfig(
        encoder=replace(ENCODER, kind="none"),
        generator=GENERATOR,
        discriminator=JUDGE,
        train=TrainConfig(batch=2, cpu=True),
    )
    comparison = compare_training(config, tmp_path, side=SIDE)
    (work,) = comparison.others.values()
    players = work.args[:2]
    before = [next(player.parameters()).clone() for player in players]
    comparison.work()
    work()
    assert all(not torch.equal(old, next(player.parameters())) for old, player in zip(before, players, strict=True))
    assert set(comparison.parameters) == {OURS, *comparison.others}


def test_meshes_are_prepared_and_made_by_every_side(tmp_path):
    for comparison in compare_preparation(side=8).values():
        sizes = {name: work().size for name, work in {OURS: comparison.work, **comparison.others}.items()}
        assert sizes[OURS] == sizes["libigl, winding numbers alone"] == 8**3
    comparison = compare_meshing(tmp_path, side=16)
    comparison.work()
    for work in comparison.others.values():
        work()
    ours, theirs = (trimesh.load(tmp_path / f"{name}.glb", force="mesh") for name in ("ours", "theirs"))
    assert ours.is_watertight
    assert len(theirs.faces) > 100
