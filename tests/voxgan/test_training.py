"""Voxel networks learn, two processes train what one does, and what was killed goes on as if it had not been."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.toys import packed, settings, step_context, trainer

from gancore.config import PenaltyConfig
from gancore.parsing import parse_config
from voxgan.config import VoxelConfig
from voxgan.networks.image_to_voxels import ImageToVoxels, load_model

ROOT = Path(__file__).parents[2]
TOOL = str(ROOT / "tools" / "train_voxels.py")
TWO = "accelerate.commands.launch --multi_gpu --num_processes 2 --num_machines 1 --main_process_port 0"
LAUNCH = {1: [], 2: ["-m", *TWO.split(), "--mixed_precision", "no", "--dynamo_backend", "no"]}
SMALL = [
    *("--encoder.size", "16", "--encoder.base_channels", "4", "--encoder.max_channels", "8", "--data.views", "2"),
    *("--generator.latent_dim", "6", "--generator.base_channels", "4", "--generator.max_channels", "8"),
    *("--discriminator.base_channels", "4", "--discriminator.max_channels", "8"),
    *("--train.cpu", "--train.batch", "4", "--train.log_every", "1", "--train.preview_every", "0"),
]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return packed(tmp_path_factory.mktemp("boxes"), count=16)


def train(source: Path, run: Path, *flags: str, processes: int = 1) -> None:
    command = [
        sys.executable,
        *LAUNCH[processes],
        TOOL,
        "--data.path",
        str(source),
        "--run",
        str(run),
        *SMALL,
        *flags,
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_model(run / "generator").state_dict()


def log(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "stats.jsonl").read_text().splitlines()]


GAMES = {
    "modern": [],
    "three-step": [
        "--objective.update_order",
        "three-step",
        "--objective.discriminator_accuracy_gate",
        "0.6",
        "--objective.loss",
        "minimax",
    ],
    "unconditional": [
        "--encoder.kind=none",
        "--data.class_conditional",
        "--data.proportions=0.3",
        "--generator.latent_prior=mixture",
    ],
}


@pytest.mark.parametrize("flags", GAMES.values(), ids=GAMES)
def test_a_run_that_was_cut_and_resumed_is_the_run_that_was_not(source, tmp_path, flags):
    trainer_of(source, tmp_path / "whole", flags, steps=6).train()
    cut = trainer_of(source, tmp_path / "cut", flags, steps=6)
    batches = iter(cut._create_loader())
    for _ in range(3):
        cut.train_step(batches)
        cut.step += 1
        cut.progress = cut.step / cut.config.steps
    cut.save()
    train(source, tmp_path / "cut", "--train.steps", "6", *flags)
    whole, resumed = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert [line["step"] for line in log(tmp_path / "cut")] == [4, 5, 6]


def trainer_of(source, run, flags, *, steps):
    flags = ["--data.path", str(source), "--run", str(run), *SMALL, "--train.steps", str(steps), *flags]
    return trainer(parse_config(VoxelConfig, flags))


@pytest.mark.parametrize(
    "flags",
    [
        pytest.param(flags, id=game, marks=pytest.mark.slow if game == "modern" else pytest.mark.long)
        for game, flags in GAMES.items()
    ],
)
def test_two_processes_train_what_one_does(source, tmp_path, flags):
    for processes in (1, 2):
        train(source, tmp_path / str(processes), "--train.steps", "6", *flags, processes=processes)
    one, two = weights(tmp_path / "1"), weights(tmp_path / "2")
    assert all(torch.allclose(one[name], two[name], atol=1e-5, rtol=0) for name in one)
    assert any(not torch.equal(one[name], torch.zeros_like(one[name])) for name in one)


def test_each_step_of_the_three_moves_its_own_network_alone(source, tmp_path):
    config = settings(source, tmp_path, steps=1, discriminator_lr=0.01, generator_lr=0.01)
    game = trainer(
        replace(config, objective=replace(config.objective, update_order="three-step", penalties=PenaltyConfig()))
    )
    parts = {
        "discriminator": game.discriminator,
        "encoder": game.generator.encoder,
        "generator": game.generator.generator,
    }
    before = {name: [p.detach().clone() for p in part.parameters()] for name, part in parts.items()}
    batch = [next(iter(game._create_loader()))]
    encoder, generator = game.objective.generator_updates(game.generator, game.discriminator)
    updates = [
        (game.objective.discriminator_update(game.generator, game.discriminator), game.discriminator_player),
        (encoder, game.generator_player),
        (generator, game.generator_player),
    ]
    for update, player in updates:
        terms = game.apply_update(update, player, batch)
        now = {name: [p.detach().clone() for p in part.parameters()] for name, part in parts.items()}
        moved = {
            name for name in parts if any(not torch.equal(a, b) for a, b in zip(before[name], now[name], strict=True))
        }
        assert moved == {update.name}
        assert {name.partition("/")[0] for name in terms} == {update.name, "gradient"}
        before = now


@pytest.mark.slow
def test_a_few_objects_are_learned_by_heart(source, tmp_path):
    config = settings(
        source, tmp_path, steps=200, batch=4, generator_lr=1e-2, discriminator_lr=1e-3, beta1=0.5, ema_decay=0.9
    )
    config = replace(
        config, data=replace(config.data, augment=replace(config.data.augment, mirror=False, crop_jitter=0.0))
    )
    game = trainer(replace(config, objective=replace(config.objective, adversarial_weight=0.01, kl_weight=1e-4)))
    game.dataset.indices = game.dataset.indices[:4]
    game.train()
    batch = next(iter(game._create_loader()))
    made = load_model(tmp_path / "generator")(batch.views) > 0
    true = batch.occupancy > 0
    assert ((made & true).sum() / (made | true).sum()) > 0.95


def test_reconstruction_outweighs_the_divergence_in_what_moves_the_encoder(source, tmp_path):
    """With a mean where the paper has a norm over all voxels, KL would erase the reconstruction; see VoxelObjective."""
    game = trainer(settings(source, tmp_path, steps=40, generator_lr=2e-3))
    game.train()
    batch, network, objective = next(iter(game._create_loader())), game.generator, game.objective
    posterior = objective._posterior(network, batch, step_context(progress=1.0))
    terms = objective._reconstruction(network, posterior, batch, step_context(progress=1.0))
    terms |= objective._kl_term(posterior, step_context(progress=1.0))
    pulls = {
        name: torch.autograd.grad(term, posterior.mean, retain_graph=True)[0].norm() for name, term in terms.items()
    }
    assert 1 < pulls["mean_bce"] / pulls["kl"] < 1000


def test_labels_of_classes_reach_the_saved_model(source, tmp_path):
    trainer_of(source, tmp_path, ["--data.class_conditional"], steps=2).train()
    model = ImageToVoxels.from_pretrained(tmp_path / "generator")
    assert model.shape.classes == ("lamp", "stool")
    assert model.generator.sample(1, label="lamp").shape == (1, 8, 8, 8)
