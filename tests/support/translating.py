"""Small translators there and back, batches for them, and tiny trainings from clip to clip."""

import os
import socket
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from support.calling import called
from support.game import same
from support.resuming import log, newest, said
from support.tiny import clips, stirred

from gancore.parsing import parse_config
from gancore.training.launch import create_accelerator
from gancore.training.trainer import Trainer
from vidgan.config import VideoDiscriminatorConfig
from vidgan.networks.translator_pair import DiscriminatorPair, TranslatorPair
from vidgan.translation.build import build_trainer
from vidgan.translation.pairs import PairBatch, open_pairs
from vidgan.translation_config import PairParts, PairShape, TranslationConfig, TranslatorConfig

TRANSLATOR = TranslatorConfig(base_channels=4, blocks=1, neighbours=1)
SHAPE = PairShape(channels=3, height=16, width=16, clip_frames=4)
BOTH_WAYS, ONE_WAY = PairParts(), PairParts(back=False, contrast_features=8)
TINY = {
    "data.degradations": "night",
    "data.paired": "false",
    "data.channels": 1,
    "data.height": 16,
    "data.width": 16,
    "data.clip_frames": 3,
    "generator.base_channels": 4,
    "generator.blocks": 1,
    "generator.neighbours": 1,
    "discriminator.base_channels": 4,
    "discriminator.channel_multipliers": "1,1",
    "discriminator.score": "patches",
    "discriminator.spatial_frames": 2,
    "unpaired.penalties.lazy_every": 4,
    "train.cpu": "true",
    "train.precision": "fp32",
    "train.steps": 8,
    "train.batch": 4,
    "train.log_every": 1,
    "train.preview_every": 0,
    "train.checkpoint_every": 4,
    "train.keep_checkpoints": "none",
    "train.health_every": 4,
    "train.evaluate_every": 4,
    "train.curves": "false",
}
"""Flags of eight steps of a training without pairs, of grey moving digits by day and by night."""


def pair_of(parts: PairParts = BOTH_WAYS, *, untrained: bool = False) -> TranslatorPair:
    """Small translators, stirred unless they are to be `untrained`, in eval mode."""
    torch.manual_seed(3)
    pair = TranslatorPair(TRANSLATOR, parts, SHAPE)
    return pair.eval() if untrained else stirred(pair, 0.1)


def judges_of(parts: PairParts = BOTH_WAYS) -> DiscriminatorPair:
    """Small discriminators of both kinds of clips, stirred, in eval mode."""
    torch.manual_seed(4)
    config = VideoDiscriminatorConfig(base_channels=2, channel_multipliers=(1, 2), score="patches", spatial_frames=2)
    return stirred(DiscriminatorPair(config, channels=SHAPE.channels, back=parts.back))


def unpaired_batch(size: int) -> PairBatch:
    """Sources and targets that have nothing to do with one another."""
    source, target = (clips(size, frames=SHAPE.clip_frames, channels=3, seed=seed) for seed in (1, 2))
    return PairBatch(source, target)


def flags(run: Path, options: Mapping[str, Any] | None = None) -> list[str]:
    """The words of the tiny training with other values of some of its settings."""
    settings = TINY | dict(options or {}) | {"run": run}
    return [word for name, value in settings.items() for word in (f"--{name}", str(value))]


def translation_trainer(run: Path, options: Mapping[str, Any] | None = None) -> Trainer:
    """What the tool makes of these flags, in this process."""
    config = parse_config(TranslationConfig, flags(run, options))
    torch.manual_seed(config.train.seed)
    dataset, held_out = (open_pairs(config.data, split=split) for split in ("train", "val"))
    return build_trainer(config, create_accelerator(config.train), dataset=dataset, held_out=held_out)


def train_in_two_processes(run: Path, options: Mapping[str, Any] | None = None) -> None:
    """Trains to the end in two processes, which find each other as those of any launcher do."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    everyone = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", **meeting}
    words = flags(run, options)
    ranks = [_fork(run, words, {"RANK": number, "LOCAL_RANK": number, **everyone}) for number in "01"]
    assert [rank.wait(timeout=300) for rank in ranks] == [0, 0], said(run).read_text()


def _fork(run: Path, words: list[str], environment: Mapping[str, str]) -> psutil.Process:
    """The tool in a fork of this process, which has imported everything that takes seconds."""
    if child := os.fork():
        return psutil.Process(child)
    try:
        os.environ |= environment
        with said(run).open("a") as file, redirect_stdout(file), redirect_stderr(file):
            code = called("train_translation", *words)
        os._exit(code)
    finally:
        os._exit(1)


def assert_equal_runs(one: Path, other: Path) -> None:
    """All that two trainings of eight steps left is the same to the bit."""
    assert newest(one)[0] == newest(other)[0] == 8
    assert same(newest(one)[1], newest(other)[1])
    for folder in ("generator", "best"):
        model = Path(folder, "model.safetensors")
        assert (one / model).read_bytes() == (other / model).read_bytes()
    assert log(one) == log(other)


def assert_resumes(options: Mapping[str, Any], folder: Path, patch: pytest.MonkeyPatch) -> None:
    """A training that breaks after a checkpoint ends as one that does not."""
    assert translation_trainer(folder / "whole", options).train()
    broken = translation_trainer(folder / "broken", options)
    train_step = broken.train_step
    patch.setattr(broken, "train_step", lambda batches: train_step(batches) if broken.step < 6 else 1 / 0)
    with pytest.raises(ZeroDivisionError):
        broken.train()
    assert newest(folder / "broken")[0] == 4
    assert translation_trainer(folder / "broken", options).train()
    assert_equal_runs(folder / "broken", folder / "whole")
