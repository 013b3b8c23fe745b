"""The loop plays the game it is given: the right batches, the right numbers, and nothing outside it changed."""

import math
import subprocess
import sys
from itertools import islice
from pathlib import Path
from statistics import fmean

import pytest
import torch
from accelerate.state import AcceleratorState
from support.game import SIZE, Game, Judge, Numbers, Width, collate, lines, play, settings, trainer
from torch import Tensor, nn

from gancore.data import EndlessBatches
from gancore.hub import HubModel
from gancore.training.launch import create_accelerator
from gancore.training.trainer import Trainer


@pytest.fixture
def _another_accelerator():
    """Accelerate keeps one state a process; these tests want one of another precision."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


# ------------------------------------------------------------------------------------------------------- updates


def test_every_discriminator_update_has_a_batch_of_its_own_and_the_generator_plays_on_the_last(tmp_path):
    game = Game()
    play(trainer(tmp_path, game, discriminator_steps=2, gradient_accumulation_steps=2), steps=2)
    order = islice(EndlessBatches(SIZE, batch_size=2, seed=0), 8)
    parts = [[sample.index for sample in batch] for batch in order]
    expected = []
    for step in range(2):
        first, second = parts[4 * step : 4 * step + 2], parts[4 * step + 2 : 4 * step + 4]
        expected += [("discriminator", step, part) for part in (*first, *second)]
        expected += [("generator", step, part) for part in second]
    assert [(player, context.step, indices) for player, context, indices, _ in game.updates] == expected


def test_each_turn_trains_its_own_player_alone(tmp_path):
    game = Game()
    play(trainer(tmp_path, game, discriminator_steps=2), steps=1)
    assert [trained for *_, trained in game.updates] == [["discriminator"], ["discriminator"], ["generator"]]


def test_a_player_without_terms_rests(tmp_path):
    trained = trainer(tmp_path, Game(begins=2))
    before = trained.discriminator.score.weight.detach().clone()
    assert [set(terms) for terms in play(trained, steps=2)] == [{"generator/game", "gradient/generator"}] * 2
    assert torch.equal(trained.discriminator.score.weight, before)
    assert not trained.discriminator_player.optimizer.state
    assert {"discriminator/game", "generator/game"} <= set(play(trained, steps=1)[0])
    assert not torch.equal(trained.discriminator.score.weight, before)


@pytest.mark.parametrize("accumulate", [2, 4])
def test_an_update_in_parts_is_the_update_on_the_whole_batch(tmp_path, accumulate):
    whole, parts = (
        trainer(tmp_path, double=True),
        trainer(tmp_path, double=True, gradient_accumulation_steps=accumulate),
    )
    for ours, theirs in zip(play(whole, 5), play(parts, 5), strict=True):
        assert ours == pytest.approx(theirs, abs=1e-6)
    for ours, theirs in ((whole.generator, parts.generator), (whole.discriminator, parts.discriminator)):
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(a, b, atol=1e-6, rtol=0)


def test_noise_differs_between_players_updates_and_steps_and_comes_from_the_seed(tmp_path):
    def noises(**options):
        game = Game()
        play(trainer(tmp_path, game, discriminator_steps=2, **options), steps=2)
        return [context.rng.normal(4, 3) for _, context, _, _ in game.updates]

    drawn, again = noises(), noises()
    assert len(drawn) == 6
    assert all(not torch.equal(a, b) for n, a in enumerate(drawn) for b in drawn[:n])
    assert all(torch.equal(a, b) for a, b in zip(drawn, again, strict=True))
    assert not torch.equal(drawn[0], noises(seed=6)[0])


def test_the_discriminator_is_constrained_after_each_of_its_updates(tmp_path):
    game = Game(bound=0.01)
    trained = trainer(tmp_path, game, discriminator_steps=3)
    play(trained, steps=2)
    assert game.constrained == 6
    assert trained.discriminator.score.weight.abs().max() <= 0.01


def test_gradients_are_scaled_down_to_their_limit_and_no_further(tmp_path):
    free, limited = trainer(tmp_path), trainer(tmp_path, max_grad_norm=0.01)
    loose = trainer(tmp_path, max_grad_norm=100.0)
    for each in (free, limited, loose):
        play(each, steps=1)
    gradients = [each.discriminator.score.weight.grad for each in (free, limited, loose)]
    assert gradients[0].norm() > 0.02
    assert gradients[1].norm() == pytest.approx(0.01, rel=1e-4)
    assert torch.equal(gradients[2], gradients[0])
    torch.testing.assert_close(gradients[1] / gradients[1].norm(), gradients[0] / gradients[0].norm())


# -------------------------------------------------------------------------------------- learning rate and average


def test_the_learning_rate_rises_linearly_and_falls_along_a_cosine():
    config = settings(steps=100, warmup_steps=4, final_lr_fraction=0.1)
    assert [config.lr_factor(step) for step in range(3)] == pytest.approx([0.25, 0.5, 0.75], rel=5e-3)
    assert config.lr_factor(50) == pytest.approx(0.55)
    assert config.lr_factor(100) == pytest.approx(0.1)
    assert config.lr_factor(25) == pytest.approx(0.1 + 0.9 * (1 + math.cos(math.pi / 4)) / 2)
    assert [settings().lr_factor(step) for step in (0, 3, 6)] == [1.0, 1.0, 1.0]


def test_the_scheduled_learning_rates_are_the_ones_applied(tmp_path):
    trained = trainer(
        tmp_path, steps=10, warmup_steps=4, final_lr_fraction=0.1, generator_lr=0.01, discriminator_lr=0.02
    )
    optimizers = {
        "discriminator": trained.discriminator_player.optimizer,
        "generator": trained.generator_player.optimizer,
    }
    before = trained.generator.weight.detach().clone()
    for step in range(10):
        play(trained, steps=1)
        rates = {name: optimizer.param_groups[0]["lr"] for name, optimizer in optimizers.items()}
        share = trained.config.lr_factor(step)
        assert rates == {"discriminator": pytest.approx(0.02 * share), "generator": pytest.approx(0.01 * share)}
        if step == 0:  # Adam's first step is as long as its rate
            moved = (trained.generator.weight - before).abs()
            torch.testing.assert_close(moved, torch.full_like(moved, 0.01 * share), rtol=1e-3, atol=1e-6)


def test_the_average_follows_its_formula_and_copies_buffers(tmp_path):
    trained = trainer(tmp_path, ema_decay=0.3, generator_lr=0.1)
    expected = None
    for count in range(6):
        play(trained, steps=1)
        now = trained.generator.weight.detach()
        decay = min(0.3, (1 + count) / (10 + count))
        expected = now.clone() if expected is None else decay * expected + (1 - decay) * now
        torch.testing.assert_close(trained.ema_generator.weight.detach(), expected)
        assert trained.ema_generator.calls == trained.generator.calls > 0
    assert not torch.allclose(expected, now)


def test_the_average_is_the_generator_until_it_starts(tmp_path):
    trained = trainer(tmp_path, ema_decay=0.9, ema_start=3, generator_lr=0.1)
    equal = []
    for _ in range(5):
        play(trained, steps=1)
        equal.append(torch.equal(trained.ema_generator.weight, trained.generator.weight))
    assert equal == [True, True, True, False, False]


# ------------------------------------------------------------------------------------- precision, memory, compile


@pytest.mark.usefixtures("_another_accelerator")
@pytest.mark.parametrize(("precision", "expected"), [("bf16", torch.bfloat16), ("fp32", torch.float32), ("auto", None)])
def test_mixed_precision_is_on_when_asked_for_and_weights_stay_whole(tmp_path, precision, expected):
    seen = []
    trained = trainer(tmp_path, precision=precision)
    trained.discriminator.score.register_forward_hook(lambda *call: seen.append(call[2].dtype))
    terms = play(trained, steps=2)
    assert set(seen) == {expected or torch.float32}
    assert not torch.is_autocast_enabled("cpu")
    assert all(math.isfinite(value) for step in terms for value in step.values())
    assert {parameter.dtype for parameter in trained.discriminator.parameters()} == {torch.float32}


class Maps(HubModel):
    """A generator with a convolution in 2-D and one in 3-D."""

    def __init__(self, width: Width):
        super().__init__(width)
        self.weight = nn.Parameter(torch.ones(width.width))
        self.flat, self.deep = nn.Conv2d(2, 4, 3, padding=1), nn.Conv3d(2, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.flat(x.view(-1, 1, 3, 1).expand(-1, 2, -1, 2))
        return self.weight * self.deep(x.unflatten(1, (2, 2))).mean((1, 2, 4))


def convolved(run: Path, **options) -> Trainer:
    torch.manual_seed(0)
    config = settings(**options)
    networks = {"generator": Maps(Width()), "discriminator": Judge()}
    parts = {"objective": Game(), "dataset": Numbers(), "collate": collate}
    return Trainer(run, config, **networks, **parts, accelerator=create_accelerator(config))


def test_channels_last_changes_the_layout_of_weights_and_not_the_training(tmp_path):
    plain, last = convolved(tmp_path / "a"), convolved(tmp_path / "b", channels_last=True)
    for each in (plain, last):
        assert each.train()
    assert last.generator.flat.weight.stride() != plain.generator.flat.weight.stride()
    assert last.generator.flat.weight.is_contiguous(memory_format=torch.channels_last)
    assert last.generator.deep.weight.is_contiguous(memory_format=torch.channels_last_3d)
    for ours, theirs in zip(plain.generator.parameters(), last.generator.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
def test_compiled_networks_train_as_plain_ones_do(tmp_path):
    plain, compiled = convolved(tmp_path / "a"), convolved(tmp_path / "b", compile=True)
    for each in (plain, compiled):
        assert each.train()
    for ours, theirs in zip(plain.generator.parameters(), compiled.generator.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
    Maps.from_pretrained(tmp_path / "b" / "generator")


FLAGS = """
import torch, importlib, pkgutil, sys, tempfile
from pathlib import Path

def flags():
    b = torch.backends
    return dict(
        anomaly=torch.is_anomaly_enabled(), grad=torch.is_grad_enabled(), dtype=torch.get_default_dtype(),
        deterministic=torch.are_deterministic_algorithms_enabled(), threads=torch.get_num_threads(),
        precision=torch.get_float32_matmul_precision(), fill=torch.utils.deterministic.fill_uninitialized_memory,
        cudnn=(b.cudnn.enabled, b.cudnn.benchmark, b.cudnn.deterministic, b.cudnn.allow_tf32),
        tf32=b.cuda.matmul.allow_tf32, flush=torch.tensor([1e-40]).mul(1).item(), device=torch.get_default_device(),
        attention=(b.cuda.flash_sdp_enabled(), b.cuda.mem_efficient_sdp_enabled(), b.cuda.math_sdp_enabled()),
    )

before = flags()
import gancore
for module in pkgutil.walk_packages(gancore.__path__, "gancore."):
    importlib.import_module(module.name)
assert flags() == before, "imports changed them"
sys.path.insert(0, sys.argv[1])
from support.game import trainer
with tempfile.TemporaryDirectory() as folder:
    trained = trainer(Path(folder), max_grad_norm=1.0)
    assert flags() == before, "construction changed them"
    trained.train()
assert flags() == before, "training changed them"
print("as they were")
"""


def test_importing_constructing_and_training_leave_the_flags_of_torch_as_they_were():
    result = subprocess.run(
        [sys.executable, "-c", FLAGS, str(Path(__file__).parents[2])], capture_output=True, text=True, timeout=300
    )
    assert result.stdout == "as they were\n", result.stderr


# -------------------------------------------------------------------------------------------- what can go wrong


@pytest.mark.parametrize("player", ["discriminator", "generator"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_the_run_by_name_and_spares_the_checkpoint(tmp_path, player, value):
    trainer(tmp_path, steps=4).train()
    before = {path: path.read_bytes() for path in tmp_path.glob("*/*")}
    with pytest.raises(ValueError, match=rf"step 5: {player}/poisoned is -?(nan|inf)"):
        trainer(tmp_path, Game(poison=(player, 5, value)), checkpoint_every=100).train()
    assert {path: path.read_bytes() for path in tmp_path.glob("*/*")} == before


@pytest.mark.parametrize(
    "written", ["checkpoint_every", "health_every", "preview_every", "evaluate_every", "log_every", "steps"]
)
def test_a_loss_that_is_not_finite_is_found_before_anything_is_written(tmp_path, written):
    never = {"log_every": 100, "checkpoint_every": 100, "health_every": 0, "preview_every": 0, "evaluate_every": 0}
    seen = []
    trained = trainer(
        tmp_path,
        Game(poison=("generator", 5, math.nan)),
        looking={"preview": lambda *call: seen.append(call)},
        **never | {"steps": 40, written: 9},
    )
    with pytest.raises(ValueError, match="step 5: generator/poisoned is nan; the last checkpoint is untouched"):
        trained.train()
    assert trained.step == 9
    assert not seen
    assert not list(tmp_path.glob("checkpoint-*"))
    assert not (tmp_path / "generator").exists()
    assert not (tmp_path / "stats.jsonl").exists()


def test_a_gradient_that_is_not_finite_is_named_by_its_weight(tmp_path):
    trained = trainer(tmp_path, steps=10, log_every=5)
    trained.discriminator.score.weight.register_hook(lambda gradient: gradient * math.inf)
    with pytest.raises(ValueError, match=r"step 0: gradient/discriminator is (nan|inf) in score.weight"):
        trained.train()


def test_an_error_that_follows_from_a_loss_that_was_not_finite_does_not_hide_it(tmp_path):
    def fail():
        raise RuntimeError("the matrix is not positive definite")

    trained = trainer(tmp_path, Game(poison=("generator", 3, math.nan), at={5: fail}), steps=20, log_every=10)
    with pytest.raises(ValueError, match="step 3: generator/poisoned is nan"):
        trained.train()
    with pytest.raises(RuntimeError, match="positive definite"):
        trainer(tmp_path / "well", Game(at={5: fail}), steps=20, log_every=10).train()


def test_a_line_of_the_log_has_the_means_of_its_steps(tmp_path):
    trainer(tmp_path / "each", steps=6, log_every=1).train()
    trainer(tmp_path / "three", steps=6, log_every=3).train()
    each, three = lines(tmp_path / "each"), lines(tmp_path / "three")
    assert [line["step"] for line in three] == [3, 6]
    for line, own in zip(three, (each[:3], each[3:]), strict=True):
        for name in ("generator/game", "discriminator/game", "gradient/generator", "gradient/discriminator"):
            assert line[name] == fmean(step[name] for step in own)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_item_that_cannot_be_read_stops_the_run_with_its_own_error(tmp_path, workers):
    with pytest.raises(ValueError, match="item 7 is broken"):
        trainer(tmp_path, steps=20, dataset=Numbers(broken=(7,)), workers=workers).train()


def test_a_checkpoint_of_another_architecture_is_refused(tmp_path):
    trainer(tmp_path, width=3).train()
    with pytest.raises(ValueError, match=r"the generator of .*checkpoint-00000006 is of another architecture"):
        trainer(tmp_path, width=4).train()


def test_a_batch_that_cannot_be_shared_out_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"train.batch \(4\) must be a multiple"):
        trainer(tmp_path, gradient_accumulation_steps=3)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", 0),
        ("batch", 0),
        ("gradient_accumulation_steps", 0),
        ("discriminator_steps", 0),
        ("log_every", 0),
        ("ema_decay", 1.0),
    ],
)
def test_an_impossible_setting_is_named(name, value):
    with pytest.raises(ValueError, match=f"^{name} must"):
        settings(**{name: value})
