"""Starts small trainings of voxels, in this process, in one of their own or in two."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from support.calling import called

from voxgan.networks.image_to_voxels import load_model

ROOT = Path(__file__).parents[2]
TOOL = str(ROOT / "tools" / "train_voxels.py")
TWO = "accelerate.commands.launch --multi_gpu --num_processes 2 --num_machines 1 --main_process_port 0"
LAUNCH = {1: [], 2: ["-m", *TWO.split(), "--mixed_precision", "no", "--dynamo_backend", "no"]}
SMALL = [
    *("--encoder.size", "16", "--encoder.base_channels", "4", "--encoder.max_channels", "8", "--data.views", "2"),
    *("--generator.latent_dim", "6", "--generator.base_channels", "4", "--generator.max_channels", "8"),
    *("--discriminator.base_channels", "4", "--discriminator.max_channels", "8"),
    *("--train.cpu", "--train.batch", "4", "--train.log_every", "1", "--train.preview_every", "0"),
    *("--train.curves", "false"),
]
GAMES: dict[str, list[str]] = {
    "modern": [],
    "three-step": [
        "--objective.update_order",
        "three-step",
        "--objective.discriminator_accuracy_gate",
        "0.6",
        "--objective.loss",
        "minimax",
    ],
    "aggregate": [
        *("--generator.latent_prior=aggregate", "--data.class_conditional", "--encoder.cameras", "--data.side=16"),
        *("--objective.judge_reconstructions", "--discriminator.patch_levels=1"),
    ],
    "unconditional": [
        "--encoder.kind=none",
        "--data.class_conditional",
        "--data.proportions=0.3",
        "--generator.latent_prior=mixture",
    ],
}


def train(source: Path, run: Path, *flags: str) -> None:
    """Trains in this process."""
    assert called("train_voxels", *_flags(source, run, flags)) == 0


def train_apart(source: Path, run: Path, *flags: str, processes: int = 1) -> None:
    """Trains in a process of its own, or in two."""
    command = [sys.executable, *LAUNCH[processes], TOOL, *_flags(source, run, flags)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def _flags(source: Path, run: Path, flags: Sequence[str]) -> list[str]:
    return ["--data.path", str(source), "--run", str(run), *SMALL, *flags]


def log(run: Path) -> list[dict[str, float]]:
    """The lines that were logged."""
    return [json.loads(line) for line in (run / "stats.jsonl").read_text().splitlines()]


def weights(run: Path) -> dict[str, torch.Tensor]:
    """The weights of the model that the run leaves."""
    return load_model(run / "generator").state_dict()
