"""What can be seen on a GPU alone. Each test is of the device that there is; without a GPU they are skipped."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from importlib.resources import as_file
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState
from support import tiny, toys
from support.game import same

from gancore.rng import SampleRandom
from gancore.training.trainer import Trainer
from vidgan.data.dataset import BUNDLED_CLIP
from vidgan.data_config import VideoDataConfig
from vidgan.files.video import read_clip
from vidgan.frames import to_float
from vidgan.networks.generator import FramePredictor
from voxgan.networks.image_to_voxels import ImageToVoxels, load_model

GPU = torch.cuda.is_available()
DEVICE = "cuda" if GPU else "cpu"
ROOT = Path(__file__).parents[1]
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not GPU, reason="there is no GPU")]


@pytest.fixture(autouse=True)
def _another_accelerator() -> Iterator[None]:
    """Accelerate keeps one state a process; these tests want one of another device."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture(autouse=True)
def _whole_numbers_that_can_be_repeated() -> Iterator[None]:
    """Float32 without TF32, by kernels that sum in a fixed order."""
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        yield


def video(run: Path, *, name: str, context: int = 3, **options: Any) -> Trainer:
    data = VideoDataConfig(path="", channels=3, height=24, width=20, context_frames=context, clip_frames=context + 3)
    torch.manual_seed(0)
    return tiny.game(name, run, data=data, **{"cpu": not GPU, **options})


def voxels(run: Path, **options: Any) -> Trainer:
    source = run.parent / "boxes"
    if not source.exists():
        toys.packed(source, count=16)
    return toys.trainer(toys.settings(source, run, **{"cpu": not GPU, "precision": "fp32", **options}))


TRAININGS: dict[str, Callable[..., Trainer]] = {
    "motion": partial(video, name="modern", max_grad_norm=1.0),
    "splat": partial(video, name="splat"),
    "sprites": partial(video, name="sprites"),
    "paper": partial(video, name="paper", context=0, discriminator_steps=2, gradient_accumulation_steps=2),
    "voxels": partial(voxels, channels_last=True),
}


@pytest.mark.parametrize("name", TRAININGS)
def test_no_step_between_two_lines_of_the_log_waits_for_the_gpu(tmp_path, name):
    trained = TRAININGS[name](tmp_path / "run")
    batch = next(iter(trained._create_loader()))
    trained.train_step(repeat(batch))  # the first step sets up libraries and Adam's memory
    trained.step = 0  # with penalties
    if GPU:
        torch.cuda.set_sync_debug_mode("error")
    try:
        trained.train_step(repeat(batch))
    finally:
        if GPU:
            torch.cuda.set_sync_debug_mode("default")
    assert trained.recent_terms.take_means()


def test_a_gate_that_decides_waits_for_its_decision_alone(tmp_path):
    trained = voxels(tmp_path / "run")
    gate = type(trained.objective.gate)(0.6).to(DEVICE)
    trained.objective.gate = trained.objective.state = gate
    batch, decisions = next(iter(trained._create_loader())), []
    for _ in range(4):
        trained.train_step(repeat(batch))
        decisions.append(gate.is_closed() == bool(gate.accuracy > 0.6))
    assert decisions == [True] * 4


@pytest.mark.parametrize("name", TRAININGS)
def test_a_training_in_bf16_gives_numbers(tmp_path, name):
    trained = TRAININGS[name](tmp_path / "run", precision="bf16")
    batch = next(iter(trained._create_loader()))
    for _ in range(3):
        trained.train_step(repeat(batch))
        trained.step += 1
    trained.recent_terms.check()
    assert all(bool(weight.isfinite().all()) for weight in trained.ema_generator.state_dict().values())


@pytest.mark.parametrize("name", ["paper", "voxels"])
def test_a_run_that_was_cut_and_resumed_is_the_run_that_was_not_to_the_bit(tmp_path, name):
    whole, cut = TRAININGS[name](tmp_path / "whole"), TRAININGS[name](tmp_path / "cut")
    for trained in (whole, cut):
        batches = iter(trained._create_loader())
        for _ in range(2 if trained is cut else 4):
            trained.train_step(batches)
            trained.step += 1
            trained.progress = trained.step / trained.config.steps
        trained.save()
    AcceleratorState._reset_state(reset_partial_state=True)
    again = TRAININGS[name](tmp_path / "cut")
    assert again.resume()
    batches = iter(again._create_loader())
    for _ in range(2):
        again.train_step(batches)
        again.step += 1
        again.progress = again.step / again.config.steps
    assert same(again.ema.state_dict(), whole.ema.state_dict())
    assert same(again.discriminator.state_dict(), whole.discriminator.state_dict())
    assert again.ema.count == whole.ema.count == 4


@torch.inference_mode()
def test_the_future_that_the_shipped_model_predicts_is_that_of_the_cpu():
    with as_file(BUNDLED_CLIP) as film:
        past = to_float(read_clip(film, frames=5).frames[..., :128, :160])[None]
    model = FramePredictor.from_pretrained("vidvox/predict-small")
    latent = SampleRandom(0).normal(1, model.config.latent_dim)
    on_cpu = model(past, latent, steps=10)
    there = model.to(DEVICE)(past.to(DEVICE), latent.to(DEVICE), steps=10).cpu()
    assert float((there - on_cpu).abs().mean()) < 1e-4


@torch.inference_mode()
def test_the_objects_that_the_shipped_model_makes_are_those_of_the_cpu():
    model = load_model("vidvox/furniture-64")
    assert isinstance(model, ImageToVoxels)
    pictures = [ROOT / "voxgan" / "assets" / name for name in ("chair.png", "chair-left.png")]
    on_cpu, made = model.reconstruct(pictures), model.generator.sample(2, label="chair")
    model.to(DEVICE)
    torch.testing.assert_close(model.reconstruct(pictures), on_cpu, atol=1e-4, rtol=0)
    torch.testing.assert_close(model.generator.sample(2, label="chair"), made, atol=1e-4, rtol=0)


COMPILED = """
import sys
from pathlib import Path
import torch
from support import toys

source, folder, cpu = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "cpu"
trained = toys.trainer(toys.settings(source, folder, steps=2, compile=True, cpu=cpu))
assert trained.train()
assert torch._dynamo.utils.counters["stats"]["unique_graphs"] >= 3
print(next(trained.generator.parameters()).device)
"""


def test_compiled_networks_train(tmp_path):
    source = toys.packed(tmp_path / "boxes", count=16)
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(  # in a process without the checks of shapes, which cannot be compiled
        [sys.executable, "-c", COMPILED, source, tmp_path / "run", DEVICE],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().startswith(DEVICE)
