"""Both discriminators: what they look at, what their scores depend on, and which clips they can score."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from einops import rearrange
from support.tiny import clips, discriminator, small_discriminator, stirred
from torch.nn.utils import parametrize

from gancore.layers import iter_weight_layers
from gancore.losses import zero_centred_gradient_penalty
from gancore.rng import SampleRandom
from vidgan.config import VideoDiscriminatorConfig
from vidgan.networks.discriminators import ClipSelection, VideoDiscriminator

PRESETS = ("modern", "paper", "trivd")


@pytest.fixture(autouse=True)
def _repeatable():
    torch.manual_seed(0)


def test_the_selected_frames_are_distinct_never_past_ones_and_differ_between_samples():
    selection = discriminator("paper", frames=4).draw_selection(SampleRandom(0), 200, clip_frames=11, context_frames=5)
    assert all(len(set(chosen)) == 4 for chosen in selection.frame_indices.tolist())
    assert set(selection.frame_indices.flatten().tolist()) == set(range(5, 11))
    assert len({tuple(chosen) for chosen in selection.frame_indices.tolist()}) > 100


def test_every_frame_is_as_likely_to_be_selected_as_any_other():
    chosen = (
        discriminator("paper", frames=2)
        .draw_selection(SampleRandom(1), 4000, clip_frames=8, context_frames=3)
        .frame_indices
    )
    counts = torch.bincount(chosen.flatten(), minlength=8)
    assert counts[:3].sum() == 0
    assert ((counts[3:] / 4000 - 2 / 5).abs() < 0.05).all()


def test_more_frames_than_a_clip_has_after_its_past_are_refused():
    with pytest.raises(ValueError, match=r"discriminator\.spatial_frames is 4, but a clip has only 3"):
        discriminator("paper", frames=4).draw_selection(SampleRandom(0), 2, clip_frames=5, context_frames=2)


def test_the_dvd_variant_shows_whole_frames_to_one_and_the_pooled_clip_to_the_other():
    model, batch = discriminator("paper"), clips(3, frames=6, channels=2, height=12, width=20)
    selection = model.draw_selection(SampleRandom(0), 3, clip_frames=6, context_frames=2)
    inputs = model.select_inputs(batch, selection)
    for sample in range(3):
        assert torch.equal(inputs.spatial[sample], batch[sample, selection.frame_indices[sample]])
        torch.testing.assert_close(inputs.temporal[sample], F.avg_pool2d(batch[sample], 2))


def test_the_trivd_variant_shows_pooled_frames_to_one_and_a_full_resolution_crop_to_the_other():
    model, batch = discriminator("trivd"), clips(3, frames=6, channels=2, height=12, width=20)
    selection = model.draw_selection(SampleRandom(0), 3, clip_frames=6, context_frames=2)
    inputs = model.select_inputs(batch, selection)
    for sample in range(3):
        frames = batch[sample, selection.frame_indices[sample]]
        torch.testing.assert_close(inputs.spatial[sample], F.avg_pool2d(frames, 2))
        windows = batch[sample].unfold(-2, 6, 1).unfold(-2, 10, 1)  # all 6x10 windows of all frames at once
        found = (rearrange(windows, "t c y x h w -> y x t c h w") == inputs.temporal[sample]).flatten(2).all(2)
        assert found.sum() == 1, "a crop lies at one place of the clip, the same in all its frames"


def test_crops_reach_every_corner_and_differ_between_samples():
    model = discriminator("trivd")
    place = torch.arange(8.0 * 8).view(1, 1, 1, 8, 8).expand(500, 2, -1, -1, -1)
    selection = model.draw_selection(SampleRandom(0), 500, clip_frames=2, context_frames=0)
    corners = model.select_inputs(place, selection).temporal[:, 0, 0, 0, 0]
    assert set(corners.tolist()) == {8.0 * y + x for y in range(5) for x in range(5)}


def test_real_and_fake_are_seen_at_the_same_frames_and_the_same_crop():
    model, real = discriminator("trivd"), clips(3)
    selection = model.draw_selection(SampleRandom(0), 3, clip_frames=5, context_frames=2)
    spatial, temporal = model.select_inputs(torch.cat([real, 2 * real]), selection.duplicate())
    assert torch.equal(spatial[3:], 2 * spatial[:3])
    assert torch.equal(temporal[3:], 2 * temporal[:3])


@torch.no_grad()
@pytest.mark.parametrize("name", PRESETS)
def test_a_clip_has_one_score_from_each_that_depends_on_nothing_else_in_the_batch(name):
    model, batch, labels = discriminator(name, classes=3), clips(4), torch.tensor([0, 1, 2, 0])
    selection = model.draw_selection(SampleRandom(0), 4, clip_frames=5, context_frames=2)
    before = model(batch, selection, labels)
    batch[1], labels[1] = -batch[1], 2
    after = model(batch, selection, labels)
    for old, new in zip(before, after, strict=True):
        assert old.shape == (4,)
        assert torch.equal(old[[0, 2, 3]], new[[0, 2, 3]])
        assert (old[1] - new[1]).abs() > 1e-4


@torch.no_grad()
def test_the_spatial_score_is_the_sum_of_the_frames_scores_in_any_order_and_the_temporal_one_is_not():
    model, batch = discriminator("paper"), clips(2, frames=4)
    together = model.spatial(batch)
    alone = sum(model.spatial(batch[:, number, None]) for number in range(4))
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(model.spatial(batch.flip(1)), together, rtol=1e-4, atol=1e-5)
    assert (model.temporal(batch.flip(1)) - model.temporal(batch)).abs().min() > 1e-4


@torch.no_grad()
@pytest.mark.parametrize("name", PRESETS)
def test_a_label_moves_the_score_by_the_projection_of_the_features(name):
    model, batch = discriminator(name, classes=3), clips(1)
    selection = model.draw_selection(SampleRandom(0), 1, clip_frames=5, context_frames=0)
    scores = [torch.stack(model(batch, selection, torch.tensor([label]))) for label in range(3)]
    bare = torch.stack(model(batch, selection))
    assert (scores[0] - scores[1]).abs().min() > 1e-4
    tables = [model.spatial.projection, model.temporal.projection]
    for table in tables:
        weight = table.weight.clone()
        parametrize.remove_parametrizations(table, "weight") if parametrize.is_parametrized(table) else None
        table.weight.copy_(torch.stack([weight[0], -weight[0], torch.zeros_like(weight[0])]))
    plus, minus, none = (torch.stack(model(batch, selection, torch.tensor([label]))) for label in range(3))
    torch.testing.assert_close(none, bare)
    torch.testing.assert_close(plus - bare, bare - minus, rtol=1e-3, atol=1e-5)


@torch.no_grad()
def test_the_two_3d_blocks_halve_time_as_well_as_space():
    model = discriminator("paper")
    shapes = []
    for block in model.temporal.blocks:
        block.register_forward_hook(lambda *call: shapes.append(tuple(call[-1].shape[2:])))
    model.temporal(clips(2, frames=8))
    assert shapes == [(4, 8, 8), (2, 4, 4), (2, 2)]  # (time, height, width), then frames folded into the batch


@torch.no_grad()
@pytest.mark.parametrize("attention", [None, 1, 2, 3])
@pytest.mark.parametrize(("frames", "height", "width"), [(1, 16, 16), (2, 16, 16), (3, 13, 18), (7, 5, 4), (2, 9, 33)])
@pytest.mark.parametrize("name", PRESETS)
def test_pictures_short_clips_and_odd_sizes_are_scored(name, frames, height, width, attention):
    config = replace(small_discriminator(name, frames=min(frames, 2)), attention_after=attention)
    model = stirred(VideoDiscriminator(config, channels=3))
    batch = clips(2, frames=frames, channels=3, height=height, width=width)
    for scores in model(batch, model.draw_selection(SampleRandom(0), 2, clip_frames=frames, context_frames=0)):
        assert scores.shape == (2,)
        assert scores.isfinite().all()


@pytest.mark.parametrize("attention", [1, 2, 3])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("name", PRESETS)
def test_attention_and_dropout_work_under_the_double_backward_of_a_gradient_penalty(name, dropout, attention):
    config = replace(small_discriminator(name), attention_after=attention, dropout=dropout)
    model = stirred(VideoDiscriminator(config, channels=1)).train()
    batch = clips(2).requires_grad_()
    selection = model.draw_selection(SampleRandom(0), 2, clip_frames=5, context_frames=2)
    sum(zero_centred_gradient_penalty(scores, batch) for scores in model(batch, selection)).backward()
    attentions = [model.spatial.attention, model.temporal.attention]
    learned = [parameter for module in attentions for parameter in module.parameters()]
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in learned)
    assert all(attention.strength.grad != 0 for attention in attentions)


@torch.no_grad()
def test_dropout_acts_in_training_and_never_in_eval():
    model, batch = (
        stirred(VideoDiscriminator(replace(small_discriminator("modern"), dropout=0.5), channels=1)),
        clips(2),
    )
    selection = model.draw_selection(SampleRandom(0), 2, clip_frames=5, context_frames=2)
    assert torch.equal(model(batch, selection).spatial, model(batch, selection).spatial)
    model.train()
    assert not torch.equal(model(batch, selection).spatial, model(batch, selection).spatial)
    assert not torch.equal(model(batch, selection).temporal, model(batch, selection).temporal)


@pytest.mark.parametrize("name", ["paper", "trivd"])
def test_spectral_norm_sits_on_every_weight_of_the_published_discriminators(name):
    layers = list(iter_weight_layers(discriminator(name, classes=3)))
    assert len(layers) > 20
    assert all(parametrize.is_parametrized(layer, "weight") for layer in layers)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"spatial_frames": 0}, "spatial_frames must"),
        ({"spectral_norm": True, "zero_init_residual": True}, "zero_init_residual: a zero weight"),
        ({"channel_multipliers": (1, 2, 3), "attention_after": 4}, "attention_after must"),
    ],
)
def test_impossible_discriminators_are_refused_by_the_name_of_the_key(changes, complaint):
    with pytest.raises(ValueError, match=complaint):
        replace(VideoDiscriminatorConfig(), **changes)


def test_too_few_blocks_are_refused():
    with pytest.raises(ValueError, match=r"discriminator\.channel_multipliers"):
        VideoDiscriminator(replace(VideoDiscriminatorConfig(), channel_multipliers=(1, 2)), channels=1)


def test_scores_are_computed_on_the_device_of_the_model():
    """The meta device refuses to work with tensors that were created on another."""
    model = discriminator("paper", classes=3).to("meta")
    selection = ClipSelection(torch.zeros(2, 2, dtype=torch.long, device="meta"), torch.zeros(2, 2, device="meta"))
    scores = model(clips(2).to("meta"), selection, torch.zeros(2, dtype=torch.long, device="meta"))
    assert {score.device.type for score in scores} == {"meta"}
