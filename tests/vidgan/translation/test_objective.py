"""The paired objective: its terms are the formulas of their papers, reach the right players and couple nothing."""

import math
from dataclasses import replace

import pytest
import torch
from support.tiny import clips, step_context, stirred
from support.translating import SHAPE, TRANSLATOR
from torch import Tensor

from gancore.config import PenaltyConfig
from gancore.rng import SampleRandom
from gancore.training.protocols import StepContext
from vidgan.config import VideoDiscriminatorConfig
from vidgan.networks.discriminators import VideoDiscriminator
from vidgan.networks.translator import ClipTranslator
from vidgan.translation.objective import PSNR_FLOOR, PairedObjective, mean_logarithm, mean_where, ping_pong_error
from vidgan.translation.pairs import PairBatch
from vidgan.translation_config import PairedObjectiveConfig, TranslationConfig

PIXELS = PairedObjectiveConfig()
GAME = PairedObjectiveConfig(adversarial_weight=0.5, feature_matching_weight=2.0)


def translator(*, masked: bool = False, **settings) -> ClipTranslator:
    torch.manual_seed(3)
    return stirred(ClipTranslator(replace(TRANSLATOR, **settings), replace(SHAPE, masked=masked)), 0.1)


def judges(channels: int = 6) -> VideoDiscriminator:
    torch.manual_seed(4)
    config = VideoDiscriminatorConfig(base_channels=2, channel_multipliers=(1, 2), score="patches", spatial_frames=2)
    return stirred(VideoDiscriminator(config, channels=channels))


def batch_of(size: int, *, masked: bool = False) -> PairBatch:
    source, target = (clips(size, frames=SHAPE.clip_frames, channels=3, seed=seed) for seed in (1, 2))
    known = None
    if masked:
        known = torch.ones(size, SHAPE.clip_frames, 1, 16, 16, dtype=torch.bool)
        known[:, :, :, 4:9, 3:11] = False
    return PairBatch(source, target, known)


def terms_of(config: PairedObjectiveConfig, network: ClipTranslator, batch: PairBatch) -> dict[str, Tensor]:
    return dict(PairedObjective(config).generator_terms(network, judges(), batch, step_context()))


@pytest.mark.parametrize(
    ("distance", "expected"),
    [("l1", 0.5), ("l2", 0.25), ("charbonnier", (0.25 + 1e-6) ** 0.5), ("psnr", math.log(0.25))],
)
def test_the_pixel_term_is_the_distance_of_the_name(distance, expected):
    network, batch = ClipTranslator(TRANSLATOR, SHAPE), batch_of(2)
    config = replace(PIXELS, pixel_distance=distance, pixel_weight=3.0)
    terms = terms_of(config, network, PairBatch(batch.source, batch.source + 0.5))
    assert terms.keys() == {"pixel"}
    assert terms["pixel"].item() == pytest.approx(3 * expected, rel=1e-5)


def test_pixels_in_holes_count_by_themselves_as_well():
    network, batch = ClipTranslator(TRANSLATOR, replace(SHAPE, masked=True)), batch_of(1, masked=True)
    unknown = ~batch.known
    with torch.no_grad():
        target = network(batch.source, batch.known) + 0.8 * unknown
    terms = terms_of(replace(PIXELS, pixel_distance="l1", hole_weight=2.0), network, replace(batch, target=target))
    assert terms["hole"].item() == pytest.approx(2 * 0.8, rel=1e-5)
    assert terms["pixel"].item() == pytest.approx(0.8 * float(unknown.float().mean()), rel=1e-5)
    assert mean_where(target, torch.zeros_like(unknown)) == 0


def test_by_psnr_clips_that_are_nearly_right_count_as_much_as_others_and_whole_ones_not_at_all():
    random = torch.Generator().manual_seed(0)
    error, mask = torch.rand(1, 3, 2, 4, 4, generator=random), torch.zeros(3, 3, 1, 4, 4, dtype=torch.bool)
    mask[:2, 1, :, :2] = True  # nothing of the last clip
    errors = torch.cat([error, 0.01 * error, error]).requires_grad_()
    expected = torch.stack([errors[clip, 1, :, :2].mean() for clip in (0, 1)]).add(PSNR_FLOOR).log().mean()
    measured = mean_logarithm(errors, mask)
    torch.testing.assert_close(measured, expected)
    measured.backward()
    steps = (errors * errors.grad).detach().sum((1, 2, 3, 4))
    torch.testing.assert_close(steps, torch.tensor([0.5, 0.5, 0.0]), rtol=1e-3, atol=0)
    assert mean_logarithm(errors, torch.zeros_like(mask)) == 0
    torch.testing.assert_close(mean_logarithm(errors[:1]), (errors[0].mean() + PSNR_FLOOR).log())


def test_flicker_is_the_distance_of_changes_from_frame_to_frame():
    network, batch = ClipTranslator(TRANSLATOR, SHAPE), batch_of(2)
    config = replace(PIXELS, pixel_distance="l1", flicker_weight=2.0)
    shifted = terms_of(config, network, PairBatch(batch.source, batch.source + 0.5))
    assert shifted["flicker"].item() == pytest.approx(0, abs=1e-6)
    sign = torch.tensor([1.0, -1.0]).repeat(SHAPE.clip_frames)[: SHAPE.clip_frames, None, None, None]
    flickering = terms_of(config, network, PairBatch(batch.source, batch.source + 0.5 * sign))
    assert flickering["flicker"].item() == pytest.approx(2 * 1.0, rel=1e-5)
    assert flickering["pixel"].item() == pytest.approx(0.5, rel=1e-5)


def test_ping_pong_is_nothing_without_memory_and_something_with_it():
    batch = batch_of(2)
    assert ping_pong_error(translator(propagation="none"), batch).item() == pytest.approx(0, abs=1e-6)
    assert ping_pong_error(translator(propagation="forward"), batch).item() > 1e-3
    terms = terms_of(replace(PIXELS, ping_pong_weight=2.0), translator(propagation="forward"), batch)
    torch.testing.assert_close(terms["ping_pong"], 2 * ping_pong_error(translator(propagation="forward"), batch))


def test_the_players_are_pulled_by_their_own_terms_alone():
    network, judge, batch = translator(), judges(), batch_of(3)
    objective = PairedObjective(GAME)
    objective.discriminator_terms(network, judge, batch, step_context())["spatial"].backward()
    assert all(parameter.grad is None for parameter in network.parameters())
    judge.requires_grad_(False)
    made = objective.generator_terms(network, judge, batch, step_context())
    assert made.keys() == {"pixel", "spatial", "temporal", "feature_matching"}
    for name, term in made.items():
        network.zero_grad()
        term.backward(retain_graph=True)
        assert sum(p.grad.abs().sum() for p in network.parameters() if p.grad is not None) > 0, name


def test_without_a_game_discriminators_learn_nothing_and_it_begins_when_it_is_told_to():
    network, judge, batch = translator(), judges(), batch_of(2)
    assert PairedObjective(PIXELS).discriminator_terms(network, judge, batch, step_context()) == {}
    late = PairedObjective(replace(GAME, adversarial_start=0.6))
    assert late.discriminator_terms(network, judge, batch, step_context(progress=0.5)) == {}
    assert late.generator_terms(network, judge, batch, step_context(progress=0.5)).keys() == {"pixel"}
    assert {"spatial", "temporal"} <= late.discriminator_terms(network, judge, batch, step_context(progress=0.6)).keys()


def test_a_discriminator_that_is_shown_the_source_judges_pairs():
    batch = batch_of(3)
    swapped = PairBatch(batch.source.flip(0), batch.target)
    for shown, channels in ((True, 6), (False, 3)):
        objective = PairedObjective(replace(GAME, show_source=shown))
        scores = [
            objective.score_outputs(judges(channels), each, each.target, SampleRandom(0)) for each in (batch, swapped)
        ]
        assert torch.equal(*scores) != shown


@pytest.mark.parametrize("config", [GAME, replace(GAME, pixel_distance="l2", ping_pong_weight=1.0)])
@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_the_loss_of_a_batch_is_the_mean_of_those_of_its_samples(config, player):
    config = replace(config, penalties=PenaltyConfig(r1=1.0, r2=1.0))
    get, players, batch = getattr(PairedObjective(config), f"{player}_terms"), (translator(), judges()), batch_of(3)

    def context(first: int) -> StepContext:
        return StepContext(0, 0.5, SampleRandom(5, first_sample=first, total_samples=3))

    together = get(*players, batch, context(0))
    alone = [get(*players, PairBatch(batch.source[n : n + 1], batch.target[n : n + 1]), context(n)) for n in range(3)]
    for name, term in together.items():
        torch.testing.assert_close(term, torch.stack([each[name] for each in alone]).mean(), rtol=2e-4, atol=1e-5)


def test_a_translator_has_no_latent_to_ignore():
    made = PairedObjective(PIXELS).generate_outputs(translator(), batch_of(2), SampleRandom(0), samples=2)
    assert made.shape == (2, 1, SHAPE.clip_frames, 3, 16, 16)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pixel_weight": 0.0}, "nothing to learn from"),
        ({"feature_matching_weight": 1.0}, "without adversarial_weight"),
        ({"ping_pong_weight": -1.0}, "ping_pong_weight must not be negative"),
    ],
)
def test_objectives_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        PairedObjectiveConfig(**settings)


def test_trainings_that_make_no_sense_are_refused():
    base = TranslationConfig()
    with pytest.raises(ValueError, match="spatial_frames is 4, but a clip has only 3 frames"):
        replace(base, objective=GAME, data=replace(base.data, clip_frames=3))
    with pytest.raises(ValueError, match="no frame depends on another"):
        replace(
            base,
            objective=replace(PIXELS, ping_pong_weight=1.0),
            generator=replace(base.generator, propagation="none"),
        )
    with pytest.raises(ValueError, match=r"in clips of data\.clip_frames 1 nothing changes"):
        replace(base, objective=replace(PIXELS, flicker_weight=1.0), data=replace(base.data, clip_frames=1))
    lost = replace(base.data, degradations=("dropped", "blur+dropped"))
    with pytest.raises(ValueError, match="nothing to learn from dropped without holes"):
        replace(base, data=lost)
    assert replace(base, data=lost, generator=replace(base.generator, propagation="forward")).data == lost
    assert replace(base, data=replace(lost, degradations=("dropped", "holes"))).generator == base.generator
    with pytest.raises(ValueError, match="1 or 3 channels, not 2"):
        replace(base, objective=replace(PIXELS, perceptual_weight=1.0), data=replace(base.data, channels=2))
