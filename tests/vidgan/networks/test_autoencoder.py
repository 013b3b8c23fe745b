"""Discriminators that are autoencoders: what their scores are, and what these depend on."""

from dataclasses import replace

import pytest
import torch
from support.tiny import clips, preset, small_discriminator, stirred
from torch import Tensor

from gancore.config import EnergyConfig, PenaltyConfig, TrainConfig
from gancore.rng import SampleRandom
from vidgan.config import VideoConfig, VideoDiscriminatorConfig, VideoObjectiveConfig
from vidgan.networks.autoencoder import AutoencoderDiscriminator
from vidgan.networks.discriminators import ClipSelection, VideoDiscriminator
from vidgan.translation_config import (
    PairDataConfig,
    PairedObjectiveConfig,
    TranslationConfig,
    UnpairedObjectiveConfig,
)
from voxgan.config import VoxelObjectiveConfig


@pytest.fixture(autouse=True)
def _repeatable():
    torch.manual_seed(0)


def build(*, channels: int = 1, classes: int = 0, **changes) -> VideoDiscriminator:
    config = replace(small_discriminator("modern"), **{"score": "reconstruction", "code_channels": 3} | changes)
    return stirred(VideoDiscriminator(config, channels=channels, classes=classes))


def select(model: VideoDiscriminator, batch: Tensor) -> ClipSelection:
    return model.draw_selection(SampleRandom(0), len(batch), clip_frames=batch.shape[1], context_frames=0)


@torch.no_grad()
@pytest.mark.parametrize("attention", [None, 1, 3])
@pytest.mark.parametrize(("frames", "height", "width"), [(1, 16, 16), (2, 16, 16), (3, 13, 18), (7, 5, 4), (2, 9, 33)])
def test_pictures_short_clips_and_odd_sizes_have_an_error_and_a_code(frames, height, width, attention):
    model = build(channels=2, spatial_frames=1, attention_after=attention)
    batch = clips(3, frames=frames, channels=2, height=height, width=width)
    scores, maps = model.judge(batch, select(model, batch))
    for score, of_each in zip(scores, maps, strict=True):
        assert score.shape == (3,)
        assert (score < 0).all()
        assert of_each[-1].shape[:3] == (3, of_each[-2].shape[1], 3), "the code has its channels"


@torch.no_grad()
@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize(("error", "power"), [("l1", 1), ("l2", 2)])
def test_a_network_that_reconstructs_nothing_scores_minus_the_mean_size_of_what_it_sees(error, power, dims):
    config = VideoDiscriminatorConfig(score="reconstruction", base_channels=2, reconstruction_error=error)
    model, batch = AutoencoderDiscriminator(config, 1, classes=0, dims=dims), clips(2, height=17)
    torch.nn.init.zeros_(model.last.weight), torch.nn.init.zeros_(model.last.bias)
    torch.testing.assert_close(model(batch), -(batch[..., :16, :].abs() ** power).mean((1, 2, 3, 4)))


@torch.no_grad()
def test_a_score_depends_on_its_own_clip_and_class_alone():
    model, batch, labels = build(classes=3), clips(4), torch.tensor([0, 1, 2, 0])
    selection = select(model, batch)
    before = model(batch, selection, labels)
    for changed, label in ((-batch[1], 1), (batch[1], 2)):
        other, others = batch.clone(), labels.clone()
        other[1], others[1] = changed, label
        for old, new in zip(before, model(other, selection, others), strict=True):
            assert torch.equal(old[[0, 2, 3]], new[[0, 2, 3]])
            assert (old[1] - new[1]).abs() > 1e-5


@pytest.mark.parametrize("dims", [2, 3])
def test_the_slope_of_an_energy_is_that_of_finite_differences_through_code_and_target(dims):
    config = VideoDiscriminatorConfig(
        score="reconstruction", base_channels=2, channel_multipliers=(1, 2), reconstruction_error="l2"
    )
    model = stirred(AutoencoderDiscriminator(config, 1, classes=0, dims=dims)).double()
    batch = clips(2, frames=2, height=6, width=4).double().requires_grad_()
    assert torch.autograd.gradcheck(model, batch)


def test_an_autoencoder_learns_to_reconstruct_what_it_is_shown():
    model, batch = build(base_channels=8).train(), clips(2)
    selection = select(model, batch)
    optimizer, errors = torch.optim.Adam(model.parameters(), 1e-2), []
    for _ in range(60):
        loss = -torch.stack(model(batch, selection)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        errors.append(loss.item())
    assert errors[-1] < errors[0] / 2


def test_pair_and_discriminator_must_belong_together():
    energy = VideoObjectiveConfig(loss="energy", penalties=PenaltyConfig())
    reconstruction = VideoDiscriminatorConfig(score="reconstruction")
    with pytest.raises(ValueError, match=r"objective\.loss energy needs an autoencoder: set discriminator\.score"):
        VideoConfig(objective=energy)
    with pytest.raises(ValueError, match=r"discriminator\.score reconstruction is for objective\.loss energy"):
        VideoConfig(discriminator=reconstruction)
    together = VideoConfig(objective=energy, discriminator=reconstruction)
    assert together.objective.energy == EnergyConfig()
    with pytest.raises(ValueError, match="code_channels must be at least 1"):
        replace(preset("modern").discriminator, code_channels=0)
    with pytest.raises(ValueError, match="loss equilibrium needs an autoencoder as discriminator"):
        VoxelObjectiveConfig(loss="equilibrium")


@pytest.mark.parametrize("paired", [True, False])
def test_a_translator_has_no_use_for_an_autoencoder(paired):
    data, name = PairDataConfig(paired=paired), "objective" if paired else "unpaired"
    losses = PairedObjectiveConfig if paired else UnpairedObjectiveConfig
    autoencoder = VideoDiscriminatorConfig(score="reconstruction")
    energy = {name: losses(loss="energy", penalties=PenaltyConfig())}
    with pytest.raises(ValueError, match=rf"{name}\.loss energy is for generating clips"):
        TranslationConfig(data=data, **energy, discriminator=autoencoder)
    with pytest.raises(ValueError, match=r"discriminator\.score reconstruction is for generating clips"):
        TranslationConfig(data=data, discriminator=autoencoder)


def test_a_translator_that_compares_with_the_mean_of_a_batch_keeps_it_whole():
    average = PairedObjectiveConfig(loss="relativistic-average")
    with pytest.raises(ValueError, match="must be 1 for the relativistic-average loss"):
        TranslationConfig(objective=average, train=TrainConfig(gradient_accumulation_steps=2))
    assert TranslationConfig(objective=average).objective == average
