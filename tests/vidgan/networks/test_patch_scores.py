"""Scores of patches, and the hidden maps from which they and the scores of whole clips are computed."""

from dataclasses import replace

import pytest
import torch
from support.tiny import PLAIN, batch_of, clips, predictor, small_discriminator, step_context, stirred
from torch import Tensor

from gancore.config import ENERGY_LOSSES, PenaltyConfig
from gancore.losses import GAN_LOSSES, feature_matching, zero_centred_gradient_penalty
from gancore.rng import SampleRandom
from gancore.training.diagnostics import diagnose_players
from vidgan.config import VideoDiscriminatorConfig
from vidgan.networks.discriminators import ClipSelection, VideoDiscriminator
from vidgan.objective import VideoObjective

PRESETS = ("modern", "paper", "trivd")


@pytest.fixture(autouse=True)
def _repeatable():
    torch.manual_seed(0)


def build(name: str, *, classes: int = 0, channels: int = 1, **changes) -> VideoDiscriminator:
    config = replace(small_discriminator(name), **{"score": "patches"} | changes)
    return stirred(VideoDiscriminator(config, channels=channels, classes=classes))


def select(model: VideoDiscriminator, batch: Tensor) -> ClipSelection:
    return model.draw_selection(SampleRandom(0), len(batch), clip_frames=batch.shape[1], context_frames=0)


@torch.no_grad()
@pytest.mark.parametrize(("frames", "height", "width"), [(1, 16, 16), (2, 32, 16), (3, 13, 18), (5, 24, 40)])
@pytest.mark.parametrize("name", PRESETS)
def test_there_is_one_logit_for_each_place_of_the_last_map(name, frames, height, width):
    model, batch = build(name, spatial_frames=1), clips(3, frames=frames, height=height, width=width)
    judgement = model.judge(batch, select(model, batch))
    assert judgement.scores.spatial.shape[:2] == (3, 1), "each frame has scores of its own"
    for scores, maps in zip(judgement.scores, judgement.maps, strict=True):
        assert scores.shape == (*maps[-1].shape[:2], *maps[-1].shape[3:])
        assert scores.isfinite().all()


@torch.no_grad()
@pytest.mark.parametrize("name", PRESETS)
def test_the_logits_of_all_patches_add_up_to_the_logit_of_the_clip(name):
    model, batch, labels = build(name, classes=3), clips(4, height=32, width=32), torch.tensor([0, 2, 1, 0])
    whole = VideoDiscriminator(replace(model.config, score="clip"), channels=1, classes=3).eval()
    whole.load_state_dict(model.state_dict())
    selection = select(model, batch)
    for patches, clip in zip(model(batch, selection, labels), whole(batch, selection, labels), strict=True):
        assert patches.ndim == 4
        torch.testing.assert_close(patches.flatten(1).sum(1), clip, rtol=1e-4, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("score", ["clip", "patches"])
def test_judging_gives_the_scores_of_a_call_and_a_map_after_every_block(name, score):
    model, batch, labels = build(name, classes=2, score=score), clips(3), torch.tensor([0, 1, 1])
    selection = select(model, batch)
    judgement = model.judge(batch, selection, labels)
    for ours, called in zip(judgement.scores, model(batch, selection, labels), strict=True):
        assert torch.equal(ours, called)
    for maps in judgement.maps:
        assert [map_.shape[2] for map_ in maps] == [2, 4, 6, 6]
        assert all(len(map_) == 3 for map_ in maps)


@pytest.mark.parametrize(("blocks", "field"), [(1, 14), (2, 32), (3, 68)])
def test_a_patch_is_as_large_as_the_configuration_says(blocks, field):
    config = VideoDiscriminatorConfig(
        score="patches", base_channels=2, channel_multipliers=(1,) * blocks, patch_size=1, downsample=1, variant="dvd"
    )
    model, batch = stirred(VideoDiscriminator(config, channels=1)).double(), torch.randn(1, 1, 1, 128, 128).double()
    batch.requires_grad_()
    scores = model.spatial(batch)
    (gradient,) = torch.autograd.grad(scores[0, 0, scores.shape[2] // 2, scores.shape[3] // 2], batch)
    seen = gradient[0, 0, 0] != 0
    assert (seen.any(0).sum(), seen.any(1).sum()) == (field, field)


@pytest.mark.parametrize("name", PRESETS)
def test_the_penalty_of_a_map_is_that_of_the_mean_of_each_clips_own_scores(name):
    model, batch = build(name), clips(3).requires_grad_()
    selection = select(model, batch)
    for number in range(2):
        together = zero_centred_gradient_penalty(model(batch, selection)[number], batch)
        alone = []
        for sample in range(3):
            clip = batch[sample, None].detach().requires_grad_()
            own = ClipSelection(*(part[sample, None] for part in selection))
            (gradient,) = torch.autograd.grad(model(clip, own)[number].mean(), clip)
            alone.append(gradient.square().sum())
        torch.testing.assert_close(together, torch.stack(alone).mean(), rtol=1e-4, atol=1e-8)


def test_a_source_stands_beside_its_target_as_further_channels():
    model, source, target = build("modern", channels=4), clips(2, channels=3), clips(2, channels=1, seed=1)
    selection = select(model, target)
    scores = [model(torch.cat([source[order], target], 2), selection).temporal for order in ([0, 1], [1, 0])]
    assert (scores[0] - scores[1]).abs().max() > 1e-4, "the same target of another source"


def test_features_match_where_clips_are_equal_and_pull_only_the_fake_ones():
    model, real = build("modern"), clips(2)
    fake = clips(2, seed=1).requires_grad_()
    selection = select(model, real)
    ours, theirs = model.judge(fake, selection).maps, model.judge(real, selection).maps
    assert feature_matching([*theirs.spatial, *theirs.temporal], [*theirs.spatial, *theirs.temporal]) == 0
    distance = feature_matching(theirs.temporal, ours.temporal)
    distance.backward()
    assert fake.grad.abs().max() > 0


@pytest.mark.parametrize("loss", [name for name in GAN_LOSSES if name not in ENERGY_LOSSES])
@pytest.mark.parametrize("name", ["modern", "paper"])
def test_a_game_over_patches_moves_both_players_and_shows_its_vital_signs(name, loss):
    model, generator, batch = build(name).train(), predictor(name).train(), batch_of(3)
    penalties = PenaltyConfig(r1=1.0, r2=1.0, gradient_penalty=1.0)
    objective = VideoObjective(replace(PLAIN, loss=loss, penalties=penalties))
    for player, terms in (
        (model, objective.discriminator_terms(generator, model, batch, step_context())),
        (generator, objective.generator_terms(generator, model, batch, step_context())),
    ):
        assert {"spatial", "temporal"} <= set(terms)
        assert all(term.shape == () for term in terms.values())
        (gradient,) = torch.autograd.grad(sum(terms.values()), next(player.parameters()))
        assert gradient.isfinite().all()
        assert gradient.abs().max() > 0
    signs = diagnose_players(objective, generator, model, training_batches=[batch], rng=SampleRandom(0))
    assert {"health/error", "health/gap"} <= set(signs)
