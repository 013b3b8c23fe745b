"""Each alarm rings for a small GAN that fails its way, and none for healthy ones."""

import contextlib
import json
import logging
import math
from pathlib import Path

import pytest
import torch
from support.game import Game
from support.game import trainer as plain_trainer
from support.ring import Ring, RingGame, collate, trainer

from gancore.config import PenaltyConfig
from gancore.data import Sample
from gancore.rng import SampleRandom
from gancore.training.alarms import REMEDIES, SUSTAINED_LINES, AlarmMonitor, count_swings, find_non_finite
from gancore.training.diagnostics import (
    ITEMS_PER_BATCH,
    MAX_ITEMS,
    diagnose_players,
    eval_mode,
    flatten_outputs,
    sample_batches,
)

FREE = PenaltyConfig()


def alarms(run: Path) -> list[str]:
    """Those that the log tells of, in order."""
    lines = [json.loads(line) for line in (run / "stats.jsonl").read_text().splitlines()]
    return [name.removeprefix("alarm/") for line in lines for name in line if name.startswith("alarm/")]


# ------------------------------------------------------------------------------------------------------ the failures


def deaf(trained) -> None:
    """Its generator hears nothing of its latents."""
    trained.generator.layers[0].weight.data[:, 2:] = 0
    trained.generator.layers[0].weight.register_hook(lambda gradient: gradient * (torch.arange(6) < 2))


def far_off(trained) -> None:
    """Its generator begins where the discriminator cannot err."""
    trained.generator.layers[-1].bias.data += 3


def test_modes_that_get_lost_are_missed(tmp_path):
    trainer(tmp_path, steps=140).train()
    assert not alarms(tmp_path)
    pulled = RingGame(reconstruction=3.0)  # to the middle of the ring
    trainer(tmp_path, pulled, steps=280, generator_lr=5e-3).train()
    assert "coverage_falls" in alarms(tmp_path)


def test_a_generator_that_runs_from_mode_to_mode_makes_its_loss_hop(tmp_path):
    game = RingGame(penalties=FREE)
    trainer(tmp_path, game, steps=260, generator_lr=5e-3, beta1=0.9, health_every=0).train()
    assert alarms(tmp_path) == ["loss_oscillates"]


def test_a_generator_that_hardly_learns_loses(tmp_path):
    trainer(tmp_path, RingGame(penalties=FREE), steps=180, discriminator_lr=5e-3, generator_lr=1e-6).train()
    assert {"discriminator_wins", "generator_falls_behind"} <= set(alarms(tmp_path))


@pytest.mark.slow
def test_reconstruction_drives_the_noise_out_of_a_generator_that_is_told_the_answer(tmp_path):
    data = {"told": True, "scatter": 1.0}
    game = RingGame(adversarial=1e-3, reconstruction=30.0)
    settled = {
        "generator_lr": 1e-2,
        "final_lr_fraction": 0.01,
        "beta1": 0.9,
        "beta2": 0.999,
        "batch": 128,
        "health_every": 10,
    }
    trainer(tmp_path, game, data=data, **settled).train()
    assert alarms(tmp_path) == ["noise_ignored"]


def test_a_discriminator_learns_a_few_points_by_heart(tmp_path):
    data = {"size": 16, "noise": 30}
    trainer(tmp_path, RingGame(penalties=FREE), data=data, width=64, steps=150, batch=16, generator_lr=5e-4).train()
    assert "discriminator_memorises" in alarms(tmp_path)


def test_the_minimax_game_starves_a_generator_that_is_far_off(tmp_path):
    rates = {"discriminator_lr": 1e-2, "generator_lr": 1e-5}
    trained = trainer(tmp_path, RingGame(loss="minimax", penalties=FREE), steps=200, log_every=1, **rates)
    far_off(trained)
    trained.train()
    assert "vanishing_gradients" in alarms(tmp_path)


def test_a_wasserstein_game_without_bounds_explodes(tmp_path):
    game = RingGame(loss="wasserstein", penalties=FREE)
    trainer(tmp_path, game, steps=190, discriminator_lr=3e-2, generator_lr=3e-2).train()
    assert "exploding_gradients" in alarms(tmp_path)


def test_every_alarm_is_shown_by_a_test():
    shown = Path(__file__).read_text(encoding="utf-8")
    assert all(f'"{rule.__name__}"' in shown for rule in REMEDIES)


# ---------------------------------------------------------------------------------------------------------- the healthy


PAIRS = ["non-saturating", "hinge", "least-squares", "relativistic"]


@pytest.mark.parametrize("seed", range(4))
def test_a_healthy_game_is_left_in_peace(tmp_path, seed):
    data = {"told": seed > 1, "scatter": 0.3 if seed > 1 else 0.1}
    trainer(tmp_path, RingGame(loss=PAIRS[seed % 4]), data=data, steps=200, seed=seed).train()
    assert not alarms(tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("pair", PAIRS)
def test_many_healthy_games_are_left_in_peace(tmp_path, pair):
    for seed in range(100, 110):
        trainer(tmp_path / str(seed), RingGame(loss=pair), steps=600, seed=seed).train()
        assert not alarms(tmp_path / str(seed))


# -------------------------------------------------------------------------------------------------- how they are said


def test_a_generator_deaf_to_its_latents_has_collapsed_which_is_said_once_with_evidence_and_advice(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        trained = trainer(tmp_path, steps=160, health_every=10)
        deaf(trained)
        trained.train()
    assert alarms(tmp_path) == ["mode_collapse"]
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("step 80: mode collapse: the outputs for different inputs differ by 0 of what")
    assert "What usually helps: a lower generator_lr" in caplog.messages[0]
    (kept,) = [json.loads(line) for line in (tmp_path / "alarms.jsonl").read_text().splitlines()]
    assert (kept["step"], kept["alarm"], set(kept)) == (80, "mode_collapse", {"step", "alarm", "evidence", "advice"})


def test_a_run_that_goes_on_raises_the_alarms_of_one_that_was_never_stopped(tmp_path):
    for name, stops in (("whole", (90,)), ("parts", (40, 70, 90))):
        for steps in stops:
            trained = trainer(tmp_path / name, steps=steps, health_every=10)
            deaf(trained)
            trained.train()
    whole, parts = ((tmp_path / name / "alarms.jsonl").read_text() for name in ("whole", "parts"))
    assert whole == parts
    assert whole.count("\n") == 1


def test_an_alarm_that_had_long_been_silent_is_raised_again():
    watch, raised = AlarmMonitor(), []
    for line in range(400):
        ill = line < 50 or line > 200
        values = {"discriminator/game": 0.001 if ill else 1.0, "generator/game": 1.0}
        raised += [(line, alarm.name) for alarm in watch.observe(values)]
    assert raised == [(SUSTAINED_LINES - 1, "discriminator_wins"), (200 + SUSTAINED_LINES, "discriminator_wins")]


def test_a_new_term_makes_other_gradients_no_alarm():
    watch = AlarmMonitor()
    for line in range(200):
        later = {"discriminator/game": 1.0, "generator/game": 1.0} if line > 60 else {}
        values = {"generator/reconstruction": 0.1, **later, "gradient/generator": 1.0 if later else 1e-3}
        assert not watch.observe(values)


def test_noise_does_not_swing_but_waves_do():
    random = torch.Generator().manual_seed(0)
    noise = torch.randn(1000, 60, generator=random)
    assert not any(count_swings(losses)[0] for losses in noise.tolist())
    waves = torch.sin(torch.arange(60) * 2 * math.pi / 20) + 0.1 * noise[:20]
    assert all(count_swings(losses)[0] >= 4 for losses in waves.tolist())


# ------------------------------------------------------------------------------------------------------ vital signs


def signs(trained, *, seed: int = 0, unseen: bool = True) -> dict[str, float]:
    def some(dataset, number):
        return sample_batches(dataset, number, collate=collate, device=torch.device("cpu"))

    held_out = some(trained.held_out, 2) if unseen else None
    players = trained.objective, trained.generator, trained.discriminator
    return diagnose_players(
        *players, training_batches=some(trained.dataset, 1), held_out_batches=held_out, rng=SampleRandom(seed)
    )


def test_looking_changes_neither_player_nor_random_numbers(tmp_path):
    trained = trainer(tmp_path)
    trained.discriminator.layers[1].eval()
    before = {name: value.clone() for name, value in trained.generator.state_dict().items()}
    state = torch.get_rng_state()
    assert signs(trained) == signs(trained)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in trained.generator.state_dict().items())
    assert trained.generator.training
    assert trained.discriminator.training
    assert not trained.discriminator.layers[1].training


def test_healthy_or_not_the_weights_are_the_same(tmp_path):
    for name, every in (("watched", 5), ("unwatched", 0)):
        trainer(tmp_path / name, steps=20, health_every=every).train()
    watched, unwatched = (tmp_path / name / "generator" / "model.safetensors" for name in ("watched", "unwatched"))
    assert watched.read_bytes() == unwatched.read_bytes()


def test_perfect_outputs_have_perfect_signs(tmp_path):
    trained = trainer(tmp_path)
    batch = collate([trained.held_out[Sample(index, 0)] for index in range(MAX_ITEMS)])
    other = Ring(MAX_ITEMS * 2, seed=9)

    class Perfect(RingGame):
        def generate_outputs(self, *_, **__):
            return other.points.view(MAX_ITEMS, 2, 2)

    found = diagnose_players(
        Perfect(),
        trained.generator,
        trained.discriminator,
        training_batches=[batch],
        held_out_batches=[batch],
        rng=SampleRandom(0),
    )
    assert found["health/diversity"] == pytest.approx(1, abs=0.15)
    assert found["health/noise"] == pytest.approx(1, abs=0.15)
    assert found["health/coverage"] > 0.9
    assert found["health/error"] == pytest.approx(0.5, abs=0.15)
    assert found["health/memorised"] == pytest.approx(0, abs=0.1)


def test_without_held_out_items_nothing_is_said_of_memory(tmp_path):
    with_them, without = signs(trainer(tmp_path)), signs(trainer(tmp_path), unseen=False)
    assert with_them.keys() - without.keys() == {"health/memorised"}


def test_items_are_a_few_distinct_ones_in_batches():
    batches = list(sample_batches(Ring(500, seed=1), 3, collate=collate, device=torch.device("cpu")))
    assert [len(batch) for batch in batches] == [ITEMS_PER_BATCH] * (MAX_ITEMS // ITEMS_PER_BATCH)
    assert len(torch.cat([batch.points for batch in batches]).unique(dim=0)) == MAX_ITEMS
    few = list(sample_batches(Ring(3, seed=1), 3, collate=collate, device=torch.device("cpu")))
    assert [len(batch) for batch in few] == [3]


def test_large_outputs_are_compared_by_some_of_their_numbers_always_the_same():
    outputs = torch.randn(3, 5, 40, 41)
    assert flatten_outputs(outputs).shape == (3, 4096)
    assert torch.equal(flatten_outputs(outputs), flatten_outputs(outputs.clone()))
    assert torch.equal(flatten_outputs(outputs[:, :1]), outputs[:, :1].flatten(1))


def test_a_network_at_rest_wakes_as_it_was_even_after_an_error():
    network = torch.nn.Sequential(torch.nn.Dropout(), torch.nn.BatchNorm1d(2))
    network[1].eval()
    with contextlib.suppress(ZeroDivisionError), eval_mode(network):
        assert not network[0].training
        _ = 1 / 0
    assert [module.training for module in network] == [True, False]


# ---------------------------------------------------------------------------------------------- what is not finite


def test_a_gradient_that_is_not_finite_stops_the_run_and_is_named(tmp_path):
    game = Game()
    trained = plain_trainer(tmp_path, game)
    weight = trained.generator.weight
    game.at[5] = lambda: weight.register_hook(lambda gradient: gradient * math.nan)
    with pytest.raises(ValueError, match=r"step 5: gradient/generator is nan in weight; the last checkpoint is untou"):
        trained.train()
    assert sorted(path.name for path in tmp_path.glob("checkpoint-*")) == ["checkpoint-00000002", "checkpoint-00000004"]


def test_a_buffer_that_is_not_finite_is_named_before_a_checkpoint_is_written(tmp_path):
    game = Game()
    trained = plain_trainer(tmp_path, game)
    game.at[3] = lambda: trained.generator.calls.fill_(math.inf)
    with pytest.raises(ValueError, match=r"step 4: calls of the generator is not finite; the last checkpoint is untou"):
        trained.train()
    assert [path.name for path in tmp_path.glob("checkpoint-*")] == ["checkpoint-00000002"]


def test_what_is_not_finite_is_found():
    network = torch.nn.Linear(2, 2)
    assert find_non_finite(network) == ""
    network.weight.data[0, 1] = math.inf
    assert find_non_finite(network) == "weight"
