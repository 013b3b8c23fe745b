"""Objects are stretched, moved and softened as the settings say, and gradients find their way back."""

import pytest
import torch

from gancore.rng import SampleRandom
from voxgan.augment import apply_transforms, sample_transforms
from voxgan.config import VoxelAugmentConfig

BOX = torch.zeros(1, 16, 16, 16)
BOX[:, 4:12, 6:10, 7:9] = 1.0


def lengths(solid: torch.Tensor) -> list[int]:
    """Sides of the solid's bounding box along x, y and z."""
    solid = solid[0] > 0.25
    return [int(solid.transpose(0, axis).flatten(1).any(1).sum()) for axis in range(3)]


def transform(factors, shift=(0.0, 0.0, 0.0)) -> torch.Tensor:
    return torch.cat([torch.diag(torch.tensor(factors)), torch.tensor(shift)[:, None]], 1)[None]


def test_nothing_changes_where_nothing_is_asked_for():
    still = VoxelAugmentConfig()
    assert sample_transforms(still, SampleRandom(0), 4) is None
    assert apply_transforms(still, BOX, None) is BOX


def test_each_axis_is_stretched_by_itself():
    one = VoxelAugmentConfig(probability=1.0)
    assert lengths(BOX) == [8, 4, 2]
    assert lengths(apply_transforms(one, BOX, transform((0.5, 1.0, 1.0)))) == [16, 4, 2]
    assert lengths(apply_transforms(one, BOX, transform((1.0, 0.5, 1.0)))) == [8, 8, 2]
    assert lengths(apply_transforms(one, BOX, transform((2.0, 1.0, 0.5)))) == [4, 4, 4]


def test_each_axis_is_moved_by_itself_and_what_comes_in_is_empty():
    one = VoxelAugmentConfig(probability=1.0)
    for axis in range(3):
        moved = [0.0] * 3
        moved[axis] = 2 * 4 / 16
        out = apply_transforms(one, BOX, transform((1.0, 1.0, 1.0), moved))
        torch.testing.assert_close(out, BOX.roll(-4, axis + 1))
    assert apply_transforms(one, torch.ones_like(BOX), transform((1.0, 1.0, 1.0), (1.0, 0.0, 0.0)))[:, 8:].sum() == 0


def test_softening_keeps_the_mass_and_takes_the_edges():
    out = apply_transforms(VoxelAugmentConfig(soften=True), BOX, None)
    assert out.sum() == pytest.approx(float(BOX.sum()))
    assert ((out > 0) & (out < 1)).sum() > 100


def test_what_is_drawn_stays_within_its_bounds_at_the_chance_that_is_asked_for():
    config = VoxelAugmentConfig(probability=0.3, stretch=0.2, shift=0.1)
    drawn = sample_transforms(config, SampleRandom(0), 4000)
    factors, moved = drawn[:, :, :3].diagonal(dim1=1, dim2=2).log(), drawn[:, :, 3]
    assert factors.abs().max() <= 0.2
    assert factors.abs().max() > 0.19
    assert moved.abs().max() <= 0.2
    changed = (factors != 0).any(1)
    assert torch.equal(changed, (moved != 0).any(1))
    assert changed.float().mean().item() == pytest.approx(0.3, abs=0.03)


def test_gradients_reach_the_object():
    objects = BOX.clone().requires_grad_()
    change = VoxelAugmentConfig(probability=1.0, soften=True)
    (apply_transforms(change, objects, sample_transforms(change, SampleRandom(1), 1)) ** 2).sum().backward()
    assert objects.grad.abs().sum() > 0


@pytest.mark.parametrize("name", ["probability", "stretch", "shift"])
def test_an_impossible_setting_is_named(name):
    with pytest.raises(ValueError, match=f"^{name} must lie in"):
        VoxelAugmentConfig(**{name: 1.5})
