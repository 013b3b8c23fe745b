"""Style generators of objects: networks, trainings that grow, and that a cut run is the whole one."""

import pytest
import torch
from support.game import same
from support.styles import EVERYTHING, OBJECTS, object_generator, object_training, run_steps, state_of
from support.toys import SIDE, batch, judge, packed, step_context

from gancore.growing import hidden_levels
from gancore.rng import SampleRandom
from gancore.style_config import StyleConfig, StyleObjectiveConfig
from voxgan.config import (
    VoxelConfig,
    VoxelEncoderConfig,
    VoxelGeneratorConfig,
    VoxelObjectiveConfig,
    VoxelShape,
)
from voxgan.networks.generator import VoxelGenerator
from voxgan.networks.image_to_voxels import load_model
from voxgan.objective import VoxelObjective, fade_volumes

STEPS, GROWING = 8, 0.8


@pytest.mark.parametrize("side", [8, 16, 32, 64])
def test_objects_have_every_side_and_are_logits_of_mostly_empty_space(side):
    logits = object_generator(side=side)(torch.randn(2, 6))
    assert logits.shape == (2, side, side, side)
    assert logits.mean() < 0


@torch.no_grad()
def test_objects_do_not_depend_on_their_batch_and_are_of_their_class():
    model = object_generator(classes=("lamp", "stool"))
    latent, labels = torch.randn(3, 6), torch.tensor([0, 1, 2])  # the last stands for an unknown class
    together = model(latent, labels)
    torch.testing.assert_close(model(latent[1:2], labels[1:2]), together[1:2], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(model(latent[2:]), together[2:], rtol=1e-4, atol=1e-4)
    assert (model(latent[:1], labels[1:2]) - together[:1]).abs().max() > 1e-2
    assert torch.equal(model.train()(latent, labels), together)


@torch.no_grad()
def test_truncation_pulls_objects_to_that_of_the_mean_style():
    model = object_generator()
    latent = model.sample_latents(SampleRandom(0), 16)
    model.style.mapping.track(model.map_latents(latent)[:, 0])
    spread = [float(model(latent, truncation=share).std(0).mean()) for share in (1.0, 0.5)]
    assert spread[0] > spread[1] > 0
    assert model(latent, truncation=0.0).std(0).max() < 1e-4
    whole, half = (model.sample(2, seed=5, truncation=share) for share in (None, 0.5))
    assert torch.equal(whole, model.sample(2, seed=5, truncation=1.0))
    assert not torch.equal(whole, half)
    torch.testing.assert_close(model.decode(model.latent_from_seed(6), truncation=0.5)[0], half[1])


def test_a_model_is_the_same_after_saving_and_in_half_precision_nearly(tmp_path):
    model = object_generator(classes=("lamp",))
    model.style.synthesis.growth.set(1.25)
    model.save_pretrained(tmp_path)
    loaded = load_model(tmp_path)
    assert torch.equal(loaded.sample(1, label="lamp"), model.sample(1, label="lamp"))
    model.save_pretrained(tmp_path, half=True)
    halved = load_model(tmp_path)
    assert halved.style.synthesis.growth.hidden == 1.25
    assert (halved.sample(1, label="lamp") - model.sample(1, label="lamp")).abs().max() < 0.05


def test_a_mirror_image_and_a_mixture_are_as_with_the_plain_generator():
    config = VoxelGeneratorConfig(
        kind="style", latent_dim=4, base_channels=2, symmetric=True, latent_prior="mixture", mixture_components=3
    )
    model = VoxelGenerator(config, VoxelShape(side=8))
    objects = model(model.sample_latents(SampleRandom(0), 5))
    torch.testing.assert_close(objects, objects.flip(1))


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return packed(tmp_path_factory.mktemp("boxes"), count=16, side=16)


@pytest.fixture(scope="module")
def whole(source, tmp_path_factory):
    """A training that grows in its first six steps, never stopped."""
    run = tmp_path_factory.mktemp("whole")
    run_steps(object_training(source, run, STEPS, growing=GROWING), STEPS)
    return state_of(run)


@pytest.mark.parametrize("cut", range(1, STEPS))
def test_a_training_that_was_cut_at_any_step_of_its_growth_is_the_one_that_was_not(source, whole, tmp_path, cut):
    hidden = [hidden_levels(step / STEPS, levels=1, until=GROWING) for step in range(STEPS)]
    assert sum(0 < each < 1 for each in hidden) >= 3
    run_steps(object_training(source, tmp_path, STEPS, growing=GROWING), cut)
    run_steps(object_training(source, tmp_path, STEPS, growing=GROWING), STEPS - cut)
    found = state_of(tmp_path)
    assert same(found, whole)
    assert found["objective"]["path_length.mean"] > 0


def test_a_training_draws_diagnoses_and_saves_as_any_other(source, tmp_path):
    assert object_training(source, tmp_path, 3, growing=0.5, checkpoint_every=2).train()
    assert "health/diversity" in (tmp_path / "stats.jsonl").read_text()
    assert load_model(tmp_path).sample(1, label="stool").shape == (1, 16, 16, 16)


def test_players_see_one_resolution():
    generator, discriminator, objects = object_generator(side=SIDE), judge(), batch()
    growing = VoxelObjective(VoxelObjectiveConfig(growing=0.5))
    assert generator.levels == 0  # of 8 voxels there is no coarser output
    growing.discriminator_terms(generator, discriminator, objects, step_context(progress=0.1))
    assert growing.hidden == 0
    volumes = torch.rand(2, 16, 16, 16)
    blocks = volumes.unfold(1, 2, 2).unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5, 6))
    coarse = blocks.repeat_interleave(2, 1).repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(fade_volumes(volumes, 1.0), coarse)
    torch.testing.assert_close(fade_volumes(volumes, 0.25), 0.25 * coarse + 0.75 * volumes)


def test_the_terms_of_a_style_generator_have_gradients_to_all_of_it():
    generator, discriminator = object_generator(side=SIDE, classes=("a", "b")).train(), judge(("a", "b"))
    torch.nn.init.normal_(discriminator.projection.weight)
    objective = VoxelObjective(VoxelObjectiveConfig(style=EVERYTHING))
    terms = objective.generator_terms(generator, discriminator, batch(8), step_context(step=2))
    assert set(terms) == {"adversarial", "path_length"}
    assert set(objective.generator_terms(generator, discriminator, batch(8), step_context(step=3))) == {"adversarial"}
    sum(terms.values()).backward()
    assert not [name for name, weight in generator.named_parameters() if weight.grad is None or not weight.grad.any()]


@pytest.mark.parametrize(
    ("parts", "complaint"),
    [
        ({"generator": VoxelGeneratorConfig(style=StyleConfig(width=9))}, "generator.style has settings of style"),
        (
            {"objective": VoxelObjectiveConfig(style=StyleObjectiveConfig(path_length_weight=1.0))},
            "objective.style has settings of style generators",
        ),
        ({"generator": OBJECTS, "encoder": VoxelEncoderConfig()}, "are for encoder.kind none"),
        (
            {"objective": VoxelObjectiveConfig(growing=0.5), "encoder": VoxelEncoderConfig()},
            "are for encoder.kind none",
        ),
    ],
)
def test_settings_that_do_not_fit_are_named(parts, complaint):
    with pytest.raises(ValueError, match=complaint):
        VoxelConfig(**{"encoder": VoxelEncoderConfig(kind="none"), **parts})
    with pytest.raises(ValueError, match="norm is for the plain generator"):
        VoxelGeneratorConfig(kind="style", norm="batch")
