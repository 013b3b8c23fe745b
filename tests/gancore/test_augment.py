import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gancore.augment import AugmentParameters, apply_transforms, sample_transforms
from gancore.config import AugmentConfig
from gancore.rng import SampleRandom

ALL = AugmentConfig(probability=1.0, cutout=0.3, flip=True)
GEOMETRY = AugmentConfig(probability=1.0, brightness=0.0, contrast=0.0, saturation=0.0, translation=0.3, flip=True)


def clips(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def parameters(**changed: Tensor) -> AugmentParameters:
    """What changes one sample in no way, but for what is given."""
    still = {
        "brightness": torch.zeros(1),
        "contrast": torch.ones(1),
        "saturation": torch.ones(1),
        "translation": torch.zeros(1, 2),
        "flip": torch.tensor([False]),
        "cutout_centre": torch.full((1, 2), 0.5),
        "cutout_size": torch.zeros(1),
    }
    return AugmentParameters(**still | changed)


def test_without_probability_the_very_same_tensor_comes_back():
    clip = clips(2, 3, 1, 8, 8)
    drawn = sample_transforms(AugmentConfig(), SampleRandom(0), 2)
    assert drawn is None
    assert apply_transforms(AugmentConfig(), clip, drawn) is clip


def test_a_transformation_without_effect_leaves_every_bit():
    clip = clips(1, 3, 3, 8, 9)
    assert torch.equal(apply_transforms(ALL, clip, parameters()), clip)


@pytest.mark.parametrize("channels", [1, 3])
def test_every_frame_of_a_clip_is_changed_alike(channels):
    frame = clips(16, 1, channels, 12, 10)
    changed = apply_transforms(ALL, frame.expand(-1, 5, -1, -1, -1), sample_transforms(ALL, SampleRandom(1), 16))
    assert not torch.equal(changed[:, :1], frame)
    assert torch.equal(changed, changed[:, :1].expand_as(changed))


def test_a_frame_is_changed_alike_whatever_other_frames_show():
    clip, other, drawn = (
        clips(8, 4, 3, 12, 10),
        clips(8, 4, 3, 12, 10, seed=1),
        sample_transforms(ALL, SampleRandom(1), 8),
    )
    other[:, 2] = clip[:, 2]
    assert torch.equal(apply_transforms(ALL, clip, drawn)[:, 2], apply_transforms(ALL, other, drawn)[:, 2])


def test_real_and_fake_clips_get_the_same_map_for_context_and_future_alike():
    past, true, made = (clips(8, 3, 3, 12, 10, seed=seed) for seed in range(3))
    drawn = sample_transforms(ALL, SampleRandom(1), 8)
    real, fake = (apply_transforms(ALL, torch.cat([past, future], 1), drawn) for future in (true, made))
    assert torch.equal(real[:, :3], fake[:, :3])
    assert torch.equal(real[:, 3:], apply_transforms(ALL, true, drawn))
    assert torch.equal(fake[:, 3:], apply_transforms(ALL, made, drawn))


def test_samples_are_changed_differently():
    changed = apply_transforms(
        ALL, clips(1, 2, 3, 12, 10).expand(8, -1, -1, -1, -1), sample_transforms(ALL, SampleRandom(1), 8)
    )
    assert all(not torch.equal(changed[i], changed[j]) for i in range(8) for j in range(i))


def test_a_sample_does_not_depend_on_the_others():
    clip, drawn = clips(8, 2, 3, 12, 10), sample_transforms(ALL, SampleRandom(1), 8)
    changed = clip.clone()
    changed[3] = 7.0
    before, after = apply_transforms(ALL, clip, drawn), apply_transforms(ALL, changed, drawn)
    others = [0, 1, 2, 4, 5, 6, 7]
    assert torch.equal(before[others], after[others])
    assert not torch.equal(before[3], after[3])


@settings(deadline=None)
@given(cut=st.integers(1, 9), seed=st.integers(0, 2**60))
def test_parameters_are_equal_however_the_batch_is_cut(cut, seed):
    clip = clips(10, 2, 3, 6, 6)
    whole = apply_transforms(ALL, clip, sample_transforms(ALL, SampleRandom(seed), 10))
    first = apply_transforms(
        ALL, clip[:cut], sample_transforms(ALL, SampleRandom(seed, first_sample=0, total_samples=10), cut)
    )
    rest = apply_transforms(
        ALL, clip[cut:], sample_transforms(ALL, SampleRandom(seed, first_sample=cut, total_samples=10), 10 - cut)
    )
    assert torch.equal(whole, torch.cat([first, rest]))


@pytest.mark.parametrize("chance", [0.3, 0.8, 1.0])
def test_each_kind_of_change_happens_at_its_probability(chance):
    augment = AugmentConfig(probability=chance, cutout=0.2, flip=True)
    drawn = sample_transforms(augment, SampleRandom(0), 20000)
    assert (drawn.brightness != 0).float().mean().item() == pytest.approx(chance, abs=0.02)
    assert (drawn.contrast != 1).float().mean().item() == pytest.approx(chance, abs=0.02)
    assert (drawn.saturation != 1).float().mean().item() == pytest.approx(chance, abs=0.02)
    assert (drawn.translation != 0).any(1).float().mean().item() == pytest.approx(chance, abs=0.02)
    assert (drawn.cutout_size == 0.2).float().mean().item() == pytest.approx(chance, abs=0.02)
    assert drawn.flip.float().mean().item() == pytest.approx(chance / 2, abs=0.02)


@settings(deadline=None)
@given(low=st.floats(0.01, 1), high=st.floats(0.01, 1), seed=st.integers(0, 2**60))
def test_a_higher_probability_only_adds_changes(low, high, seed):
    low, high = sorted((low, high))
    few, many = (
        sample_transforms(AugmentConfig(probability=probability, cutout=0.2, flip=True), SampleRandom(seed), 16)
        for probability in (low, high)
    )
    for name, still in (("brightness", 0), ("contrast", 1), ("saturation", 1), ("translation", 0), ("cutout_size", 0)):
        old, new = getattr(few, name), getattr(many, name)
        assert ((old == still) | (old == new)).all()
    assert (few.flip <= many.flip).all()


def test_flips_stay_off_unless_asked_for():
    assert not sample_transforms(AugmentConfig(probability=1.0), SampleRandom(0), 100).flip.any()


@settings(deadline=None)
@given(seed=st.integers(0, 2**60), colour=st.floats(0, 1), channels=st.sampled_from([1, 3]))
def test_the_range_stays_within_what_the_strengths_allow(seed, colour, channels):
    augment = AugmentConfig(
        probability=1.0, brightness=colour, contrast=colour, saturation=colour, cutout=0.3, flip=True
    )
    changed = apply_transforms(augment, clips(4, 2, channels, 8, 8), sample_transforms(augment, SampleRandom(seed), 4))
    saturated = 1 + 4 / 3 * colour if channels == 3 else 1.0
    assert changed.abs().max() <= saturated * (1 + colour) + colour + 1e-5


@pytest.mark.parametrize("augment", [ALL, GEOMETRY])
@pytest.mark.parametrize("shape", [(3, 2, 3, 5, 4), (3, 2, 5, 4)])
def test_the_gradient_with_respect_to_the_clip_is_that_of_finite_differences(augment, shape):
    drawn, clip = sample_transforms(augment, SampleRandom(2), 3), clips(*shape).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: apply_transforms(augment, x, drawn), clip)
    assert torch.autograd.gradgradcheck(lambda x: apply_transforms(augment, x, drawn), clip)
    apply_transforms(augment, clip, drawn).square().sum().backward()
    assert (clip.grad.flatten(1) != 0).any(1).all()


@settings(deadline=None)
@given(down=st.integers(-8, 8), right=st.integers(-12, 12), flip=st.booleans(), fill=st.sampled_from([-1.0, 0.0, 0.5]))
def test_movements_are_exact_copies_and_what_they_uncover_is_filled(down, right, flip, fill):
    clip = clips(1, 2, 3, 8, 12)
    augment = AugmentConfig(probability=1.0, brightness=0.0, contrast=0.0, saturation=0.0, fill=fill)
    shift = torch.tensor([[down / 8, right / 12]])
    moved = apply_transforms(augment, clip, parameters(translation=shift, flip=torch.tensor([flip])))
    expected, source = torch.full_like(clip, fill), clip.flip(-1) if flip else clip
    for y in range(8):
        for x in range(12):
            if 0 <= y - down < 8 and 0 <= x - right < 12:
                expected[..., y, x] = source[..., y - down, x - right]
    assert torch.equal(moved, expected)


def test_movements_reach_their_share_of_each_side_and_no_further():
    drawn = sample_transforms(GEOMETRY, SampleRandom(0), 5000)
    assert drawn.translation.abs().max() <= 0.3
    assert (drawn.translation.amax(0) > 0.29).all()
    assert (drawn.translation.amin(0) < -0.29).all()


def test_a_hole_is_a_filled_square_of_its_share_around_its_centre():
    clip, augment = clips(1, 2, 1, 16, 8), AugmentConfig(probability=1.0, cutout=0.5, fill=-1.0)
    holed = apply_transforms(
        augment, clip, parameters(cutout_centre=torch.tensor([[0.5, 1.0]]), cutout_size=torch.tensor([0.5]))
    )
    expected = clip.clone()
    expected[..., 4:12, 6:] = -1.0
    assert torch.equal(holed, expected)


def test_colours_follow_their_formulas():
    clip = clips(1, 2, 3, 4, 4)
    grey = clip.mean(2, keepdim=True)
    for change, expected in (
        ({"brightness": torch.tensor([0.2])}, clip + 0.2),
        ({"contrast": torch.tensor([1.5])}, clip * 1.5),
        ({"saturation": torch.tensor([0.0])}, grey.expand_as(clip)),
        ({"saturation": torch.tensor([1.5])}, grey + 1.5 * (clip - grey)),
    ):
        torch.testing.assert_close(apply_transforms(ALL, clip, parameters(**change)), expected)


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_saturation_leaves_clips_without_three_channels_alone(channels):
    clip = clips(1, 2, channels, 4, 4)
    assert torch.equal(apply_transforms(ALL, clip, parameters(saturation=torch.zeros(1))), clip)


def test_images_are_changed_like_clips_of_one_frame():
    image, drawn = clips(8, 3, 12, 10), sample_transforms(ALL, SampleRandom(1), 8)
    assert torch.equal(apply_transforms(ALL, image, drawn), apply_transforms(ALL, image[:, None], drawn)[:, 0])


def test_half_precision_clips_stay_so():
    clip = clips(2, 2, 3, 8, 8).bfloat16()
    assert apply_transforms(ALL, clip, sample_transforms(ALL, SampleRandom(0), 2)).dtype == torch.bfloat16


@pytest.mark.parametrize("name", ["probability", "brightness", "contrast", "saturation", "translation", "cutout"])
@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan")])
def test_a_strength_outside_its_range_is_named(name, value):
    with pytest.raises(ValueError, match=f"{name} must lie in"):
        AugmentConfig(**{name: value})
