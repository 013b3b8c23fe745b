"""The game without pairs: every term says what it should, pulls the translator it is meant for, and couples nothing."""

from dataclasses import replace

import pytest
import torch
from support.tiny import step_context
from support.translating import BOTH_WAYS, ONE_WAY, SHAPE, TRANSLATOR, judges_of, pair_of, unpaired_batch
from torch import Tensor, nn

from gancore.config import ENERGY_LOSSES, PenaltyConfig
from gancore.losses import GAN_LOSSES
from gancore.rng import SampleRandom
from gancore.training.protocols import StepContext
from vidgan.networks.translator_pair import DiscriminatorPair, TranslatorPair
from vidgan.translation.pairs import PairBatch
from vidgan.translation.unpaired import UnpairedObjective
from vidgan.translation_config import PairParts, UnpairedObjectiveConfig

CYCLE = UnpairedObjectiveConfig(penalties=PenaltyConfig(r1=1.0, r2=1.0))
CONTRAST = replace(CYCLE, cycle_weight=0.0, contrast_weight=1.0, contrast_patches=6, contrast_features=8)
GAMES = [pytest.param(CYCLE, BOTH_WAYS, id="cycle"), pytest.param(CONTRAST, ONE_WAY, id="contrast")]
ADVERSARIAL = ("spatial", "temporal")


def generator_terms(pair: TranslatorPair, config: UnpairedObjectiveConfig = CYCLE, **options) -> dict[str, Tensor]:
    batch = options.pop("batch", unpaired_batch(3))
    judges = options.pop("judges", judges_of(pair.parts))
    return dict(UnpairedObjective(config).generator_terms(pair, judges, batch, step_context(**options)))


def adding(constant: float, pair: TranslatorPair) -> TranslatorPair:
    """Untrained translators, of which the one to targets adds a constant and the one back subtracts it."""
    for translator, sign in ((pair.to_target, 1), (pair.to_source, -1)):
        changes = 3 * translator.config.patch_size**2
        nn.init.constant_(translator.head.bias[:changes], sign * constant)
    return pair


def swapped(pair: TranslatorPair, judges: DiscriminatorPair, batch: PairBatch):
    """The same players and clips with sources called targets and targets called sources."""
    pair.to_target, pair.to_source = pair.to_source, pair.to_target
    judges.of_targets, judges.of_sources = judges.of_sources, judges.of_targets
    return pair, judges, PairBatch(batch.target, batch.source)


def share(seed: int, first: int, total: int) -> StepContext:
    """The turn of one process of several, whose part of the batch begins at `first`."""
    return StepContext(0, 0.5, SampleRandom(seed, first_sample=first, total_samples=total))


def test_translators_that_change_nothing_have_neither_identity_nor_cycle_error():
    terms = generator_terms(pair_of(untrained=True))
    for name in ("target_identity", "source_identity", "target_cycle", "source_cycle"):
        assert terms[name] == 0


def test_identity_compares_a_clip_with_what_its_own_translator_makes_of_it():
    pair, batch = pair_of(), unpaired_batch(3)
    terms = generator_terms(pair, batch=batch)
    changes = {
        "target": pair.to_target(batch.target) - batch.target,
        "source": pair.to_source(batch.source) - batch.source,
    }
    for kind, change in changes.items():
        torch.testing.assert_close(terms[f"{kind}_identity"], 5 * change.abs().mean())


@pytest.mark.parametrize("kind", ["target", "source"])
@pytest.mark.parametrize("term", ["identity", *ADVERSARIAL])
def test_a_term_of_one_kind_of_clips_pulls_the_translator_that_makes_them_alone(kind, term):
    pair = pair_of()
    generator_terms(pair)[f"{kind}_{term}"].backward()
    own, other = (pair.to_target, pair.to_source) if kind == "target" else (pair.to_source, pair.to_target)
    assert all(p.grad is None for p in other.parameters())
    assert sum(p.grad.abs().sum() for p in own.parameters()) > 0


@pytest.mark.parametrize("kind", ["target", "source"])
def test_a_cycle_pulls_both_translators(kind):
    pair = pair_of()
    generator_terms(pair)[f"{kind}_cycle"].backward()
    for translator in (pair.to_target, pair.to_source):
        assert sum(p.grad.abs().sum() for p in translator.parameters()) > 0


def test_a_translator_and_its_inverse_have_no_cycle_error_and_others_have():
    terms = generator_terms(adding(0.25, pair_of(untrained=True)))
    assert terms["target_cycle"].item() == pytest.approx(0, abs=1e-6)
    assert terms["source_cycle"].item() == pytest.approx(0, abs=1e-6)
    no_inverse = pair_of(untrained=True)
    no_inverse.to_source.load_state_dict(adding(0.25, pair_of(untrained=True)).to_target.state_dict())
    assert generator_terms(no_inverse)["target_cycle"].item() == pytest.approx(10 * 0.25, abs=1e-5)


def test_curves_are_left_out_where_a_translator_is_given_what_it_makes():
    pair = TranslatorPair(replace(TRANSLATOR, base="histogram"), BOTH_WAYS, SHAPE).eval()
    curves = torch.linspace(40, 200, 256).expand(3, -1)
    pair.set_curves(curves, curves)
    terms = generator_terms(pair)
    for kind in ("target", "source"):
        assert terms[f"{kind}_identity"] == 0
        assert terms[f"{kind}_cycle"] > 0
    source = unpaired_batch(2).source
    matched = pair.to_target.match(source)
    assert (matched - source).abs().mean() > 0.1
    assert torch.equal(pair.to_target.refine(matched), pair(source))


def test_noise_on_the_way_there_comes_back_as_an_error_of_the_cycle():
    terms = generator_terms(pair_of(untrained=True), replace(CYCLE, cycle_noise=0.1))
    for name in ("target_cycle", "source_cycle"):  # of mean magnitude std sqrt(2 / pi), to which 2,304 numbers add up
        assert terms[name].item() == pytest.approx(10 * 0.1 * (2 / torch.pi) ** 0.5, rel=0.1)


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_swapping_the_kinds_of_clips_swaps_the_terms(player):
    players = pair_of(), judges_of()
    with torch.no_grad():
        for parameter in (*players[0].to_source.parameters(), *players[1].of_sources.parameters()):
            parameter *= 0.9  # so that the ways differ
    terms_of = getattr(UnpairedObjective(CYCLE), f"{player}_terms")
    before = terms_of(*players, unpaired_batch(3), step_context())
    *players, batch = swapped(*players, unpaired_batch(3))
    after = terms_of(*players, batch, step_context())
    assert len({f"{term:.5g}" for term in before.values()}) == len(before)
    for name, term in before.items():
        kind, _, rest = name.partition("_")
        torch.testing.assert_close(after[f"{'source' if kind == 'target' else 'target'}_{rest}"], term)


@pytest.mark.parametrize(("config", "parts"), GAMES)
def test_every_fake_that_a_discriminator_sees_has_a_term_in_the_generators_loss(config, parts):
    pair, judges = pair_of(parts), judges_of(parts)
    game = UnpairedObjective(replace(config, penalties=PenaltyConfig()))
    judged = game.discriminator_terms(pair, judges, unpaired_batch(3), step_context())
    made = game.generator_terms(pair, judges, unpaired_batch(3), step_context())
    assert len(judged) == (4 if parts.back else 2)
    assert judged.keys() == {name for name in made if name.endswith(ADVERSARIAL)}


@pytest.mark.parametrize("loss", sorted(GAN_LOSSES.keys() - {"relativistic-average", *ENERGY_LOSSES}))
@pytest.mark.parametrize(("config", "parts"), GAMES)
@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_the_loss_of_a_batch_is_the_mean_of_those_of_its_samples(loss, config, parts, player):
    config = replace(config, loss=loss)
    terms_of = getattr(UnpairedObjective(config), f"{player}_terms")
    players, batch = (pair_of(parts), judges_of(parts)), unpaired_batch(3)
    together = terms_of(*players, batch, share(5, 0, 3))
    alone = [
        terms_of(*players, PairBatch(batch.source[n : n + 1], batch.target[n : n + 1]), share(5, n, 3))
        for n in range(3)
    ]
    for name, term in together.items():
        torch.testing.assert_close(term, torch.stack([each[name] for each in alone]).mean(), rtol=2e-4, atol=1e-5)


def test_what_is_made_of_one_sample_does_not_change_with_another():
    pair, batch = pair_of(), unpaired_batch(2)
    objective, changed = UnpairedObjective(CYCLE), unpaired_batch(2)
    changed.source[1] = -changed.source[1]
    ours, theirs = (objective.generate_outputs(pair, each, SampleRandom(0), samples=2) for each in (batch, changed))
    assert ours.shape == (2, 1, *batch.target.shape[1:])
    torch.testing.assert_close(ours[0], theirs[0], rtol=0, atol=1e-6)
    assert not torch.equal(ours[1], theirs[1])


@pytest.mark.parametrize(("config", "parts"), GAMES)
def test_players_in_training_and_in_use_compute_the_same(config, parts):
    pair, judges, objective = pair_of(parts), judges_of(parts), UnpairedObjective(config)
    found = []
    for training in (True, False):
        pair.train(training), judges.train(training)
        terms = objective.generator_terms(pair, judges, unpaired_batch(2), step_context())
        found.append(terms | {"made": pair(unpaired_batch(2).source)})
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


@pytest.mark.parametrize(
    ("weight", "term"), [("cycle_weight", "cycle"), ("identity_weight", "identity"), ("contrast_weight", "contrast")]
)
def test_a_weight_multiplies_its_terms_and_a_weight_of_zero_leaves_them_out(weight, term):
    config, parts = (CONTRAST, ONE_WAY) if term == "contrast" else (CYCLE, BOTH_WAYS)
    pair, once = pair_of(parts), getattr(config, weight)
    terms, doubled = (generator_terms(pair, replace(config, **{weight: w})) for w in (once, 2 * once))
    assert terms[f"target_{term}"] > 0
    torch.testing.assert_close(doubled[f"target_{term}"], 2 * terms[f"target_{term}"])
    if term == "identity":
        assert not any("identity" in name for name in generator_terms(pair, replace(config, identity_weight=0.0)))


def test_without_a_way_back_contrast_pulls_translator_and_projection():
    pair = pair_of(ONE_WAY)
    terms = generator_terms(pair, CONTRAST)
    assert {name.partition("_")[0] for name in terms} == {"target"}
    terms["target_contrast"].backward()
    for part in (pair.to_target, pair.projection):
        assert sum(p.grad.abs().sum() for p in part.parameters() if p.grad is not None) > 0


def test_before_the_game_begins_only_the_ties_pull():
    later = replace(CYCLE, adversarial_start=0.6)
    objective, players = UnpairedObjective(later), (pair_of(), judges_of())
    assert not objective.discriminator_terms(*players, unpaired_batch(2), step_context(progress=0.5))
    assert not any(name.endswith(ADVERSARIAL) for name in generator_terms(players[0], later))


def test_diagnostics_score_targets_and_translations_alike():
    objective, judges, batch = UnpairedObjective(CYCLE), judges_of(), unpaired_batch(3)
    assert objective.real_outputs(batch) is batch.target
    scores = [objective.score_outputs(judges, batch, batch.target, SampleRandom(n)) for n in (0, 0, 1)]
    assert scores[0].shape == (3,)
    assert torch.equal(scores[0], scores[1])
    assert not torch.equal(scores[0], scores[2])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"adversarial_weight": 0.0}, "adversarial_weight must be above 0"),
        ({"cycle_weight": 0.0}, "cycle_weight and contrast_weight are 0"),
        ({"contrast_weight": 1.0}, "does without a way back"),
        ({"cycle_noise": -0.1}, "cycle_noise must not be negative"),
        ({"cycle_weight": 0.0, "contrast_weight": 1.0, "cycle_noise": 0.1}, "cycle_noise is for a way back"),
        ({"loss": "relativistic-average"}, "compares a sample with its whole batch"),
        ({"identity_weight": -1.0}, "identity_weight must not be negative"),
        ({"contrast_patches": 1}, "contrast_patches must be at least 2"),
        ({"contrast_features": 0}, "contrast_features must be at least 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        UnpairedObjectiveConfig(**options)


def test_parts_of_a_negative_width_are_refused():
    with pytest.raises(ValueError, match="contrast_features must not be negative"):
        PairParts(contrast_features=-1)
