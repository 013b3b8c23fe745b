"""Voxel networks learn, and what was killed goes on as if it had not been."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.toys import packed, settings, step_context, trainer
from support.training_voxels import GAMES, SMALL, log, train, train_apart, weights

from gancore.config import PenaltyConfig
from gancore.features.weights import find_weights
from gancore.parsing import parse_config
from vidvox.train import train_voxels
from voxgan.config import VoxelConfig, VoxelEncoderConfig
from voxgan.networks.image_to_voxels import ImageToVoxels, load_model


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return packed(tmp_path_factory.mktemp("boxes"), count=16)


@pytest.mark.parametrize(
    ("game", "fractional"),
    [
        pytest.param("modern", False, marks=pytest.mark.slow),
        ("three-step", False),
        ("unconditional", False),
        ("three-step", True),
        ("aggregate", True),
    ],
)
def test_a_run_that_was_cut_and_resumed_is_the_run_that_was_not(source, tmp_path, game, fractional):
    flags = GAMES[game]
    if fractional:
        source = packed(tmp_path / "full", count=16, fractional=True)
        flags = [*flags, "--train.channels_last"]
    trainer_of(source, tmp_path / "whole", flags, steps=6).train()
    cut = trainer_of(source, tmp_path / "cut", flags, steps=6)
    batches = iter(cut._create_loader())
    for _ in range(3):
        cut.train_step(batches)
        cut.step += 1
        cut.progress = cut.step / cut.config.steps
    cut.save()
    resume = train_apart if game == "modern" else train  # once where nothing is left over in memory
    resume(source, tmp_path / "cut", "--train.steps", "6", *flags)
    whole, resumed = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert [line["step"] for line in log(tmp_path / "cut")] == [4, 5, 6]


def trainer_of(source, run, flags, *, steps):
    flags = ["--data.path", str(source), "--run", str(run), *SMALL, "--train.steps", str(steps), *flags]
    return trainer(parse_config(VoxelConfig, flags))


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
        game.apply_update(update, player, batch)
        terms = game.recent_terms.take_means()
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
        source,
        tmp_path,
        **{"steps": 200, "batch": 4, "generator_lr": 1e-2, "discriminator_lr": 1e-3, "beta1": 0.5, "ema_decay": 0.9},
        **{"checkpoint_every": 200, "log_every": 50},
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
    game = trainer(settings(source, tmp_path, steps=40, generator_lr=2e-3, checkpoint_every=40))
    game.train()
    batch, network, objective = next(iter(game._create_loader())), game.generator, game.objective
    posterior = objective._posterior(network, batch, step_context(progress=1.0))
    logits = objective._reconstruct(network, posterior, batch, step_context(progress=1.0))
    terms = objective._reconstruction_terms(logits, batch)
    terms |= objective._encoder_terms(posterior, batch, step_context(progress=1.0))
    pulls = {
        name: torch.autograd.grad(term, posterior.mean, retain_graph=True)[0].norm() for name, term in terms.items()
    }
    assert 1 < pulls["mean_bce"] / pulls["kl"] < 1000


def test_labels_of_classes_reach_the_saved_model(source, tmp_path):
    trainer_of(source, tmp_path, ["--data.class_conditional"], steps=2).train()
    model = ImageToVoxels.from_pretrained(tmp_path / "generator")
    assert model.shape.classes == ("lamp", "stool")
    assert model.generator.sample(1, label="lamp").shape == (1, 8, 8, 8)


def test_a_pretrained_part_stays_as_it_was_published_and_is_saved_with_the_model(source, tmp_path, monkeypatch):
    flags = ["--encoder.pretrained", "true"]
    try:
        find_weights("efficientnet")
    except FileNotFoundError as missing:
        pytest.skip(str(missing))
    trained = trainer_of(source, tmp_path / "run", flags, steps=2)
    before = {name: tensor.clone() for name, tensor in trained.generator.encoder.pretrained.named_buffers()}
    head = trained.generator.encoder.head.weight.clone()
    trained.train()
    monkeypatch.setenv("VIDVOX_CACHE", str(tmp_path / "empty"))  # what was saved needs no other file
    model = load_model(tmp_path / "run" / "generator")
    assert not torch.equal(model.encoder.head.weight, head)
    after = dict(model.encoder.pretrained.named_buffers())
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not any(name.startswith("encoder.pretrained.network") for name, _ in model.named_parameters())
    views = torch.rand(1, 1, 4, 16, 16) * 2 - 1
    changed = views.clone()
    changed[:, :, :3] *= -1
    assert not torch.equal(model.encoder.pretrained(views[0]), model.encoder.pretrained(changed[0]))


def test_a_training_does_not_go_on_with_other_objects_mixed_in(source, tmp_path):
    flags = ["--data.path", str(source), "--run", str(tmp_path / "run"), *SMALL, "--train.steps", "2"]
    flags += ["--data.mixed_with", str([str(packed(tmp_path / "more", count=8))])]
    train_voxels(parse_config(VoxelConfig, flags))
    shutil.rmtree(tmp_path / "more")
    packed(tmp_path / "more", count=9)
    with pytest.raises(ValueError, match="items of the data set"):
        train_voxels(parse_config(VoxelConfig, [*flags, "--train.steps", "3"]))


def test_a_training_does_not_go_on_with_as_many_other_objects(tmp_path):
    flags = ["--data.path", str(packed(tmp_path / "data", count=9)), "--run", str(tmp_path / "run"), *SMALL]
    train_voxels(parse_config(VoxelConfig, [*flags, "--train.steps", "1"]))
    shutil.rmtree(tmp_path / "data")
    packed(tmp_path / "data", count=9, first=1)
    with pytest.raises(ValueError, match="what the items of the data set are"):
        train_voxels(parse_config(VoxelConfig, [*flags, "--train.steps", "2"]))


def test_published_weights_that_are_missing_are_asked_for(source, tmp_path, monkeypatch):
    monkeypatch.setenv("VIDVOX_CACHE", str(tmp_path / "empty"))
    with pytest.raises(FileNotFoundError, match="vidvox fetch efficientnet"):
        trainer_of(source, tmp_path / "run", ["--encoder.pretrained", "true"], steps=1)


def test_only_an_encoder_can_be_pretrained():
    with pytest.raises(ValueError, match="pretrained is for an encoder"):
        VoxelEncoderConfig(kind="none", pretrained=True)


COMPILED = """
import sys
from functools import partial
from pathlib import Path
import torch
from support.toys import settings, trainer
from voxgan.networks.image_to_voxels import load_model

torch.compile = partial(torch.compile, backend=sys.argv[3])
folder, found = Path(sys.argv[2]), {}
for name in ("plain", "compiled"):
    found[name] = trainer(settings(Path(sys.argv[1]), folder / name, steps=2, compile=name == "compiled"))
    assert found[name].train()
model = found["compiled"].generator
for part in (model.encoder, model.generator, found["compiled"].discriminator):
    assert part._compiled_call_impl, type(part)
assert torch._dynamo.utils.counters["stats"]["unique_graphs"] >= 3
load_model(folder / "compiled" / "generator")
pairs = zip(found["plain"].generator.parameters(), found["compiled"].generator.parameters(), strict=True)
print(max(float((ours - theirs).abs().max()) for ours, theirs in pairs))
"""


@pytest.mark.parametrize(
    "backend", [pytest.param("eager", marks=pytest.mark.slow), pytest.param("inductor", marks=pytest.mark.long)]
)
def test_encoder_generator_and_discriminator_are_compiled_and_train_as_plain_ones_do(source, tmp_path, backend):
    root = Path(__file__).parents[2]  # in a process without the checks of shapes, which cannot be compiled
    paths = os.pathsep.join([str(root), str(root / "tests")])
    done = subprocess.run(
        [sys.executable, "-c", COMPILED, source, tmp_path, backend],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[-1]) < 1e-4
