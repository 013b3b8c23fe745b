"""Trainings of style generators of clips: what is drawn, what grows, and that a cut run is the whole one."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.game import same
from support.styles import CLIPS, EVERYTHING, clip_training, run_steps, state_of
from support.tiny import SHAPE, batch_of, discriminator, step_context

from gancore.growing import hidden_levels
from gancore.layers import downsample2x, upsample2x
from gancore.style_config import StyleConfig, StyleObjectiveConfig
from vidgan.config import VideoConfig, VideoGeneratorConfig, VideoObjectiveConfig
from vidgan.data_config import VideoDataConfig
from vidgan.networks.generator import VideoGenerator
from vidgan.objective import VideoObjective, sample_futures

STEPS, GROWING = 8, 0.9


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A training that grows in its first seven steps, never stopped."""
    run = tmp_path_factory.mktemp("whole")
    run_steps(clip_training(run, STEPS, growing=GROWING), STEPS)
    return state_of(run)


@pytest.mark.parametrize("cut", [2, 3, 6])
def test_a_training_that_was_cut_at_any_step_of_its_growth_is_the_one_that_was_not(whole, tmp_path, cut):
    hidden = [hidden_levels(step / STEPS, levels=2, until=GROWING) for step in range(STEPS)]
    assert any(0 < each % 1 < 1 for each in hidden)  # fades are among them
    run_steps(clip_training(tmp_path, STEPS, growing=GROWING), cut)
    run_steps(clip_training(tmp_path, STEPS, growing=GROWING), STEPS - cut)
    found = state_of(tmp_path)
    assert same(found, whole)
    assert found["objective"]["path_length.mean"] > 0
    assert found["generator"]["style.mapping.updates"] > 0
    assert found["generator"]["style.synthesis.growth.hidden"] == torch.tensor(hidden[-1])


def test_a_half_grown_model_is_saved_half_grown(tmp_path):
    run_steps(clip_training(tmp_path, STEPS, growing=GROWING), 4)
    model = VideoGenerator.from_pretrained(tmp_path / "generator")
    assert model.style.synthesis.growth.whole == 1
    assert float(model.style.synthesis.growth.share()) == pytest.approx(
        2 - hidden_levels(3 / STEPS, levels=2, until=GROWING)
    )


def test_players_see_one_resolution_and_health_is_measured_at_it():
    judge, batch = discriminator("modern", classes=2), batch_of(3, context=0, classes=2)
    coarse = batch.frames.flatten(0, 1)
    coarse = upsample2x(upsample2x(downsample2x(downsample2x(coarse)))).view_as(batch.frames)
    generator = trained_generator()
    growing = VideoObjective(VideoObjectiveConfig(growing=0.5))
    plain = VideoObjective(VideoObjectiveConfig())
    growing.discriminator_terms(generator, judge, batch, step_context(progress=0.0))
    assert growing.hidden == 2
    scores = growing.score_outputs(judge, batch, batch.frames, step_context().rng)
    wanted = plain.score_outputs(judge, batch, coarse, step_context().rng)
    torch.testing.assert_close(scores, wanted)
    growing.generator_terms(generator, judge, batch, step_context(progress=0.6))
    assert growing.hidden == 0
    assert generator.style.synthesis.growth.whole == 0


def trained_generator() -> VideoGenerator:
    torch.manual_seed(0)
    return VideoGenerator(CLIPS, replace(SHAPE, context_frames=0, classes=("a", "b")))


def test_the_terms_of_a_style_generator_have_gradients_to_all_of_it():
    generator, judge = trained_generator().train(), discriminator("modern", classes=2)
    objective, batch = VideoObjective(VideoObjectiveConfig(style=EVERYTHING)), batch_of(4, context=0, classes=2)
    terms = objective.generator_terms(generator, judge, batch, step_context(2))
    assert set(terms) == {"spatial", "temporal", "path_length"}
    assert "path_length" not in objective.generator_terms(generator, judge, batch, step_context(3))
    sum(terms.values()).backward()
    still = [name for name, weight in generator.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert not still
    assert generator.style.mapping.updates == 2


def test_clips_of_a_training_begin_at_any_time_between_two_anchors():
    generator, batch = trained_generator(), batch_of(2, context=0, classes=2)
    objective = VideoObjective(VideoObjectiveConfig())
    latents = generator.draw_latents(step_context().rng, 2, 1, steps=5)
    made = [objective._make_futures(generator, batch, latents, step_context(seed=seed)).detach() for seed in range(2)]
    assert (made[0] - made[1]).abs().max() > 1e-4  # one latent at two times
    assert sample_futures(generator.eval(), batch, step_context().rng, samples=2).shape == (2, 2, 5, 1, 16, 16)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"generator": {"recurrent_unit": "tsru-c"}}, "recurrent_unit is a setting of the plain generator"),
        ({"generator": {"kind": "plain", "style": StyleConfig(width=9)}}, "generator.style has settings of style"),
        ({"objective": {"growing": 1.0}}, r"growing must lie in \[0, 1\)"),
        ({"objective": {"growing": 0.5}, "generator": {"style": StyleConfig(skip_outputs=False)}}, "skip_outputs"),
        ({"data": {"context_frames": 2}}, "are for clips from noise"),
        (
            {"generator": {"kind": "plain"}, "objective": {"style": StyleObjectiveConfig(mixing_probability=0.5)}},
            "objective.style has settings of style generators",
        ),
    ],
)
def test_settings_that_do_not_fit_are_named(change, complaint):
    parts = {
        "data": {"context_frames": 0},
        "generator": {"kind": "style", "output": "frames"},
        "objective": {},
    }
    parts = {name: {**given, **change.get(name, {})} for name, given in parts.items()}
    with pytest.raises(ValueError, match=complaint):
        VideoConfig(
            run=Path("runs/x"),
            data=VideoDataConfig(**parts["data"]),
            generator=VideoGeneratorConfig(**parts["generator"]),
            objective=VideoObjectiveConfig(**parts["objective"]),
        )
