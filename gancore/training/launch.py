"""The processes of a training: how they begin together and end cleanly, on GPUs and on CPUs."""

import os
import signal
import sys
from pathlib import Path

import torch
from accelerate import Accelerator

from gancore.config import TrainConfig
from gancore.training.signals import end_with_parent

RANKS = ("RANK", "PMI_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK")
"""Environment variables of which every process has one where torch's launcher or MPI started several."""


def create_accelerator(config: TrainConfig) -> Accelerator:
    """Create the accelerator over the processes that a launcher started, or over this one alone.

    The device is the CPU if `config.cpu` says so or there is no GPU; the precision is what `config.precision` says,
    where "auto" is bfloat16 on GPUs that support it.

    Raises:
        ValueError: `accelerate launch --cpu` was asked for several processes and started one.
    """
    _require_all_processes()
    if "TORCHELASTIC_RUN_ID" in os.environ:  # a killed launcher leaves no process behind, and each stops with its state
        end_with_parent(signal.SIGTERM)
    cpu = config.cpu or not torch.cuda.is_available()
    bf16 = config.precision == "bf16" or (config.precision == "auto" and not cpu and torch.cuda.is_bf16_supported())
    return Accelerator(cpu=cpu, mixed_precision="bf16" if bf16 else "no")


def end_processes(processes: Accelerator) -> None:
    """Ends the training; of several processes each leaves Python at once, with exit code 0.

    The threads of gloo may outlive the interpreter's own end and abort a process that has done all its work.
    """
    processes.end_training()
    if processes.num_processes > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _require_all_processes() -> None:
    """Refuses to train alone where `accelerate launch --cpu` was asked for several processes.

    Without MPI it starts a single one, which it gives the address where the processes should meet, but no rank.
    """
    lone = os.environ.get("ACCELERATE_USE_CPU") == "True" and "MASTER_PORT" in os.environ
    if lone and not any(name in os.environ for name in RANKS):
        raise ValueError(
            "accelerate launch --cpu starts one process however many are asked for, unless --mpirun_hostfile is given; "
            "to train with 2 processes on the CPU type `vidvox train video --processes 2 --train.cpu` (or train "
            f"voxels), or `accelerate launch --multi_gpu --num_processes 2 {Path(sys.argv[0]).name} --train.cpu`"
        )
