"""The game over clips: every term counts, pulls where it says, and reaches the player it is meant for alone."""

import math
from dataclasses import replace
from functools import partial

import pytest
import torch
from einops import rearrange
from support.tiny import (
    PLAIN,
    SHAPE,
    batch_of,
    discriminator,
    predictor,
    preset,
    step_context,
    synthesiser,
)
from torch import Tensor, nn
from torch.nn.utils import parametrize

from gancore.config import AugmentConfig, PenaltyConfig
from gancore.losses import GAN_LOSSES
from gancore.rng import SampleRandom
from gancore.training.diagnostics import diagnose_players
from vidgan.config import VideoObjectiveConfig
from vidgan.data.batch import ClipBatch
from vidgan.networks.generator import FramePredictor
from vidgan.objective import (
    VideoObjective,
    sample_futures,
)

EVERY_R1 = PenaltyConfig(r1=1.0, lazy_every=1)


class Echo(FramePredictor):
    """A predictor whose n-th future of a past is the given one plus the n-th of some constants."""

    def __init__(self, future: Tensor, constants: list[float]):
        super().__init__(predictor("modern").config, SHAPE)
        self.future, self.constants = future, nn.Parameter(torch.tensor(constants))

    def forward(self, past: Tensor, latent: Tensor, *, steps: int) -> Tensor:
        made = self.future[:, None] + rearrange(self.constants, "n -> n 1 1 1 1")
        assert steps == made.shape[2]
        assert len(latent) == len(past) * len(self.constants)
        return rearrange(made, "b n t c h w -> (b n) t c h w")


def gradients(
    objective: VideoObjectiveConfig, player: str, *, name: str = "modern", step: int = 1, progress: float = 0.5
) -> tuple[dict[str, Tensor], Tensor]:
    """The terms of one player's turn, and the gradient of their sum over all its parameters, as one vector."""
    torch.manual_seed(0)
    players = {"generator": predictor(name), "discriminator": discriminator(name)}
    for other, network in players.items():
        network.requires_grad_(other == player)
    terms_of = getattr(VideoObjective(objective), f"{player}_terms")
    terms = dict(
        terms_of(players["generator"], players["discriminator"], batch_of(3), step_context(step, progress=progress))
    )
    sum(terms.values()).backward()
    parameters = list(players[player].parameters())
    return terms, torch.cat([torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten() for p in parameters])


def changes(objective: VideoObjectiveConfig, player: str, *, than: VideoObjectiveConfig = PLAIN, step: int = 1) -> bool:
    """Whether the objective gives this player another gradient than the other one does."""
    (_, ours), (_, theirs) = gradients(objective, player, step=step), gradients(than, player, step=step)
    assert ours.isfinite().all()
    return (ours - theirs).abs().max() > 1e-6 * theirs.abs().max()


# ------------------------------------------------------------------------------------ every option counts


@pytest.mark.parametrize(
    "options",
    [
        {"penalties": EVERY_R1},
        {"penalties": PenaltyConfig(r2=1.0)},
        {"penalties": PenaltyConfig(gradient_penalty=10.0)},
        {"penalties": PenaltyConfig(r1=1.0, finite_difference_sigma=0.01)},
        {"augment": AugmentConfig(probability=1.0)},
        {"instance_noise": 0.3},
        {"loss": "wasserstein"},
    ],
    ids=str,
)
def test_every_option_of_the_discriminators_changes_their_gradient(options):
    assert changes(replace(PLAIN, **options), "discriminator")


@pytest.mark.parametrize(
    "options",
    [
        {"reconstruction_weight": 1.0},
        {"adversarial_weight": 0.5},
        {"adversarial_ramp": 1.0},
        {"augment": AugmentConfig(probability=1.0)},
        {"instance_noise": 0.3},
        {"loss": "relativistic"},
    ],
    ids=str,
)
def test_every_option_of_the_generator_changes_its_gradient(options):
    assert changes(replace(PLAIN, **options), "generator")


def test_distance_and_number_of_samples_change_what_reconstruction_pulls():
    near = replace(PLAIN, reconstruction_weight=1.0)
    assert changes(replace(near, reconstruction_distance="l1"), "generator", than=near)
    assert changes(
        replace(near, reconstruction_distance="crps"), "generator", than=replace(near, reconstruction_distance="l1")
    )
    assert changes(replace(near, reconstruction_samples=3), "generator", than=near)


@pytest.mark.parametrize("pair", ["minimax", "non-saturating", "least-squares"])
def test_label_smoothing_changes_the_gradient_of_the_discriminators(pair):
    sharp = replace(PLAIN, loss=pair)
    assert changes(replace(sharp, label_smoothing=0.1), "discriminator", than=sharp)
    assert not changes(replace(sharp, label_smoothing=0.1), "generator", than=sharp)


@pytest.mark.parametrize("pair", GAN_LOSSES)
@pytest.mark.parametrize("name", ["modern", "paper"])
def test_every_pair_gives_both_players_a_gradient(name, pair):
    objective = replace(PLAIN, loss=pair)
    for player in ("generator", "discriminator"):
        terms, gradient = gradients(objective, player, name=name)
        assert set(terms) == {"spatial", "temporal"}
        assert gradient.isfinite().all()
        assert gradient.abs().max() > 0


def test_weights_are_clipped_only_where_it_is_asked_for():
    network = discriminator("modern")
    before = [parameter.clone() for parameter in network.parameters()]
    VideoObjective(PLAIN).constrain_discriminator(network)
    assert all(torch.equal(old, new) for old, new in zip(before, network.parameters(), strict=True))
    VideoObjective(replace(PLAIN, loss="wasserstein", clip_weights=0.01)).constrain_discriminator(network)
    assert max(parameter.abs().max().item() for parameter in network.parameters()) == pytest.approx(0.01)


def test_instance_noise_has_faded_at_the_end():
    _, quiet = gradients(PLAIN, "discriminator", progress=1.0)
    _, noisy = gradients(replace(PLAIN, instance_noise=0.3), "discriminator", progress=1.0)
    assert torch.equal(quiet, noisy)


def test_the_ramp_begins_with_nothing_of_the_game_and_ends_with_all_of_it():
    ramped = replace(PLAIN, adversarial_ramp=0.5)
    for progress, share in [(0.0, 0.0), (0.25, 0.5), (0.5, 1.0), (1.0, 1.0)]:
        whole, _ = gradients(PLAIN, "generator", progress=progress)
        part, _ = gradients(ramped, "generator", progress=progress)
        assert part["spatial"].item() == pytest.approx(share * whole["spatial"].item(), abs=1e-6)


def test_lazy_penalties_are_paid_at_their_steps_alone_and_so_much_the_harder():
    lazy = replace(PLAIN, penalties=PenaltyConfig(r1=1.0, lazy_every=4))
    due, _ = gradients(lazy, "discriminator", step=8)
    always, _ = gradients(replace(PLAIN, penalties=EVERY_R1), "discriminator", step=8)
    assert set(due) == {"spatial", "spatial_r1", "temporal", "temporal_r1"}
    assert set(gradients(lazy, "discriminator", step=9)[0]) == {"spatial", "temporal"}
    torch.testing.assert_close(due["temporal_r1"], 4 * always["temporal_r1"])


def test_the_terms_are_what_their_sum_is_made_of():
    """Each discriminator's term moves that discriminator alone, and both together move as their sum."""
    players = predictor("modern").requires_grad_(False), discriminator("modern")
    terms = VideoObjective(PLAIN).discriminator_terms(*players, batch_of(3), step_context())
    for name in ("spatial", "temporal"):
        players[1].zero_grad()
        terms[name].backward(retain_graph=True)
        moved = {
            part
            for part, module in players[1].named_children()
            if any(p.grad is not None and p.grad.any() for p in module.parameters())
        }
        assert moved == {name}


# ------------------------------------------------------------------------------------------ reconstruction


@pytest.mark.parametrize(("frames", "height", "width"), [(3, 16, 16), (5, 8, 24), (9, 32, 32)])
@pytest.mark.parametrize(("distance", "power"), [("l2", 2), ("l1", 1)])
def test_a_constant_error_costs_the_weight_times_that_error_at_any_size(distance, power, frames, height, width):
    objective = VideoObjectiveConfig(
        reconstruction_weight=20.0, reconstruction_distance=distance, adversarial_weight=0.0, reconstruction_samples=1
    )
    batch = ClipBatch(torch.zeros(2, frames, 1, height, width), torch.zeros(2, dtype=torch.long), 2)
    terms = VideoObjective(objective).generator_terms(
        Echo(batch.future, [0.01]), discriminator("modern"), batch, step_context()
    )
    assert set(terms) == {"reconstruction"}
    assert terms["reconstruction"].item() == pytest.approx(20 * 0.01**power, rel=1e-5)


def test_reconstruction_pulls_the_mean_of_the_futures_and_lets_single_ones_differ():
    batch = batch_of(2)
    objective = VideoObjectiveConfig(reconstruction_weight=1.0, adversarial_weight=0.0, reconstruction_samples=2)
    around = VideoObjective(objective).generator_terms(
        Echo(batch.future, [0.5, -0.5]), discriminator("modern"), batch, step_context()
    )
    assert around["reconstruction"].item() == pytest.approx(0, abs=1e-12)
    beside = VideoObjective(objective).generator_terms(
        Echo(batch.future, [0.5, 0.1]), discriminator("modern"), batch, step_context()
    )
    assert beside["reconstruction"].item() == pytest.approx(0.3**2, rel=1e-5)


# ------------------------------------------------------------------------------------ whose gradient it is


@pytest.mark.parametrize("name", ["modern", "paper", "trivd"])
def test_the_generator_learns_through_both_discriminators(name):
    for term in ("spatial", "temporal"):
        model, judge = predictor(name), discriminator(name).requires_grad_(False)
        VideoObjective(PLAIN).generator_terms(model, judge, batch_of(3), step_context())[term].backward()
        without = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
        assert not without
        assert all(parameter.grad is None for parameter in judge.parameters())


@pytest.mark.parametrize("name", ["modern", "paper", "trivd"])
def test_the_discriminators_turn_leaves_the_generator_without_a_gradient(name):
    model, judge = predictor(name), discriminator(name)
    objective = replace(PLAIN, penalties=PenaltyConfig(r1=1.0, r2=1.0))
    sum(VideoObjective(objective).discriminator_terms(model, judge, batch_of(3), step_context(0)).values()).backward()
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(p.grad is not None for n, p in judge.named_parameters())


def test_given_frames_are_shown_to_the_discriminators_as_they_are():
    """With futures that equal the true ones, real and fake cannot be told apart."""
    batch = batch_of(3)
    objective = replace(PLAIN, loss="wasserstein", augment=AugmentConfig(probability=0.8))
    terms = VideoObjective(objective).discriminator_terms(
        Echo(batch.future, [0.0]), discriminator("modern"), batch, step_context()
    )
    assert [term.item() for term in terms.values()] == pytest.approx([0, 0], abs=1e-5)


@pytest.mark.parametrize("name", ["modern", "paper"])
def test_the_players_of_whole_clips_learn_from_labels(name):
    model, judge, batch = synthesiser(name), discriminator(name, classes=3), batch_of(4, context=0, classes=3)
    sum(VideoObjective(PLAIN).generator_terms(model, judge, batch, step_context()).values()).backward()
    assert model.embedding.get_parameter(
        "weight" if name == "modern" else "parametrizations.weight.original"
    ).grad.any()
    futures = sample_futures(model, batch, step_context().rng, samples=2)
    assert futures.shape == (4, 2, 5, 1, 16, 16)


# ------------------------------------------------------------------------------------------ mixed precision


@pytest.mark.parametrize("name", ["modern", "paper", "trivd"])
def test_mixed_precision_is_active_when_asked_for_and_gives_nearly_the_same_terms(name):
    objective = replace(preset(name).objective, penalties=PenaltyConfig(r1=1.0, r2=1.0))
    seen = set()
    for player in ("generator", "discriminator"):
        results = []
        for mixed in (False, True):
            model, judge = predictor(name, segment=2).train(), discriminator(name).train()
            judge.spatial.blocks[0].conv1.register_forward_hook(lambda *seen_: seen.add(seen_[-1].dtype))
            with parametrize.cached():
                with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
                    terms = getattr(VideoObjective(objective), f"{player}_terms")(
                        model, judge, batch_of(3), step_context(0)
                    )
                sum(term.float() for term in terms.values()).backward()
            results.append({key: term.item() for key, term in terms.items()})
            network = model if player == "generator" else judge
            assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())
        assert results[1] == pytest.approx(results[0], rel=0.2, abs=0.2)
    assert seen == {torch.float32, torch.bfloat16}


def test_impossible_objectives_are_refused():
    with pytest.raises(ValueError, match=r"discriminator\.dropout"):
        replace(
            preset("modern"),
            objective=VideoObjectiveConfig(penalties=PenaltyConfig(r1=1.0, finite_difference_sigma=0.01)),
            discriminator=replace(preset("modern").discriminator, dropout=0.1),
        )
    with pytest.raises(ValueError, match="samples"):
        VideoObjectiveConfig(reconstruction_samples=0)
    with pytest.raises(ValueError, match="label_smoothing"):
        VideoObjectiveConfig(loss="hinge", label_smoothing=0.1)


# ------------------------------------------------------------------------------------------------------- looked at


def test_what_a_game_over_clips_shows_of_its_players():
    game, model, judge = VideoObjectiveConfig(), predictor("modern"), discriminator("modern")
    batch = batch_of(6)
    made = VideoObjective(game).generate_outputs(model, batch, SampleRandom(1), samples=2)
    assert made.shape == (6, 2, *VideoObjective(game).real_outputs(batch).shape[1:])
    assert torch.equal(made, sample_futures(model, batch, SampleRandom(1), samples=2))
    scores = VideoObjective(game).score_outputs(judge, batch, VideoObjective(game).real_outputs(batch), SampleRandom(2))
    whole = judge(batch.frames, judge.draw_selection(SampleRandom(2), 6, clip_frames=5, context_frames=2), batch.labels)
    assert torch.equal(scores, whole.spatial + whole.temporal)
    assert not torch.equal(scores, VideoObjective(game).score_outputs(judge, batch, made[:, 0], SampleRandom(2)))


@pytest.mark.parametrize("make", [partial(predictor, "modern"), partial(synthesiser, "paper")])
def test_vital_signs_are_seen_of_forecasts_and_of_whole_clips(make):
    model = make()
    context = 2 if isinstance(model, FramePredictor) else 0
    judge = discriminator("modern", classes=3 if context == 0 else 0)
    seen, unseen = (batch_of(4, context=context, classes=3) for _ in range(2))
    signs = diagnose_players(
        VideoObjective(VideoObjectiveConfig()),
        model,
        judge,
        training_batches=[seen],
        held_out_batches=[unseen],
        rng=SampleRandom(0),
    )
    assert signs.keys() == {f"health/{name}" for name in ("diversity", "noise", "error", "gap", "memorised")}
    assert all(math.isfinite(sign) for sign in signs.values())
