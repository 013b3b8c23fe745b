"""Trainings with pairs of losses whose samples are coupled: resumed, and in two processes."""

import pytest
import torch
from support.game import same
from support.resuming import STEPS, finish_without_launcher, log, newest, trainer

from gancore.config import TrainConfig
from gancore.training.alarms import AlarmMonitor
from vidgan.config import VideoConfig, VideoObjectiveConfig
from voxgan.config import VoxelConfig, VoxelObjectiveConfig

pytestmark = pytest.mark.usefixtures("one_thread")

RECONSTRUCTION = (
    *("--discriminator.score", "reconstruction", "--discriminator.code_channels", "2"),
    *("--objective.penalties.r1", "0", "--objective.penalties.r2", "0"),
)
GAMES = {
    "relativistic-average": ("--objective.loss", "relativistic-average"),
    "energy": (*RECONSTRUCTION, "--objective.loss", "energy", "--discriminator.reconstruction_error", "l2"),
    "equilibrium": (
        *(*RECONSTRUCTION, "--objective.loss", "equilibrium"),
        *("--objective.equilibrium.rate", "0.1", "--objective.equilibrium.gamma", "1"),  # so that the balance moves
    ),
    "patches": ("--objective.loss", "relativistic-average", "--discriminator.score", "patches"),
}
"""The flags of each game."""


@pytest.fixture(scope="module", params=GAMES)
def game(request, tmp_path_factory):
    """(Flags of a game, the folder of a run of it that nothing disturbed)."""
    flags, folder = GAMES[request.param], tmp_path_factory.mktemp("games") / request.param
    assert trainer(folder, *flags).train()
    return flags, folder


def test_a_run_that_broke_ends_as_the_one_that_did_not_to_the_bit(game, tmp_path, monkeypatch):
    flags, whole = game
    broken = trainer(tmp_path / "broken", *flags)
    train_step = broken.train_step
    monkeypatch.setattr(broken, "train_step", lambda batches: train_step(batches) if broken.step < 7 else 1 / 0)
    with pytest.raises(ZeroDivisionError):
        broken.train()
    assert newest(broken.run)[0] == 4
    assert trainer(broken.run, *flags).train()
    assert same(newest(broken.run)[1], newest(whole)[1])
    assert log(broken.run) == log(whole)


def test_a_healthy_run_raises_no_alarm(game):
    monitor = AlarmMonitor()
    assert [alarm for line in log(game[1]) for alarm in monitor.observe(line)] == []


@pytest.mark.parametrize("game", ["equilibrium"], indirect=True)
def test_energies_their_balance_and_convergence_are_in_every_line_of_the_log(game):
    lines = log(game[1])
    for name in ("spatial", "temporal"):
        weights = [line[f"energy/{name}/fake_weight"] for line in lines]
        assert max(weights) > 0
        for line, before in zip(lines, [0, *weights], strict=False):
            real, fake = line[f"energy/{name}/real"], line[f"energy/{name}/fake"]
            assert line[f"discriminator/{name}"] == pytest.approx(real - before * fake, abs=1e-5)
            assert line[f"energy/{name}/convergence"] == pytest.approx(real + abs(real - fake), abs=1e-6)


@pytest.mark.slow
def test_two_processes_train_what_one_does(game, tmp_path):
    flags, alone = game
    finish_without_launcher(tmp_path / "together", *flags)
    for ours, theirs in zip(log(alone), log(tmp_path / "together"), strict=True):
        terms = [name for name in ours if name.startswith(("generator/", "discriminator/"))]
        assert terms
        assert [ours[name] for name in terms] == pytest.approx([theirs[name] for name in terms], abs=1e-5)
    (step, one), (_, two) = newest(alone), newest(tmp_path / "together")
    assert step == STEPS
    for network in ("generator", "discriminator", "ema", "objective"):
        for name, weight in one[network].items():
            torch.testing.assert_close(two[network][name], weight, atol=1e-5, rtol=0, msg=f"{network}: {name}")


@pytest.mark.parametrize(
    ("config", "objective"), [(VideoConfig, VideoObjectiveConfig), (VoxelConfig, VoxelObjectiveConfig)]
)
def test_a_batch_whose_mean_counts_is_not_cut_into_parts(config, objective):
    game = objective(loss="relativistic-average")
    with pytest.raises(ValueError, match=r"train\.gradient_accumulation_steps must be 1 .* got 2"):
        config(objective=game, train=TrainConfig(gradient_accumulation_steps=2))
    assert config(objective=game).train.gradient_accumulation_steps == 1
