"""Starting and ending the processes of a distributed training run, on GPUs and on CPUs."""

import os
import signal
import sys
from pathlib import Path

import torch
from accelerate import Accelerator

from gancore.config import TrainConfig
from gancore.training.signals import end_with_parent

RANK_VARIABLES = ("RANK", "PMI_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK")
"""Environment variables; each process started by torchrun or MPI has one of them."""


def create_accelerator(config: TrainConfig) -> Accelerator:
    """Create the accelerator for all processes that a launcher started, or for this one alone.

    The device is the CPU if `config.cpu` is set or there is no GPU. Of `config.precision`, "auto" means bfloat16 on
    GPUs that support it.

    Raises:
        ValueError: `accelerate launch --cpu` was asked for several processes and started only one.
    """
    _require_all_processes()
    if "TORCHELASTIC_RUN_ID" in os.environ:  # if the launcher is killed, its processes save their state and stop
        end_with_parent(signal.SIGTERM)
    cpu = config.cpu or not torch.cuda.is_available()
    bf16 = config.precision == "bf16" or (config.precision == "auto" and not cpu and torch.cuda.is_bf16_supported())
    return Accelerator(cpu=cpu, mixed_precision="bf16" if bf16 else "no")


def end_processes(processes: Accelerator) -> None:
    """Ends the training; if there are several processes, each exits at once with code 0.

    gloo's threads may outlive the interpreter and abort a process that has already finished its work.
    """
    processes.end_training()
    if processes.num_processes > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _require_all_processes() -> None:
    """Refuses to train alone where `accelerate launch --cpu` was asked for several processes.

    Without MPI it starts a single process, which gets the address at which the processes should meet, but no rank.
    """
    several_asked = os.environ.get("ACCELERATE_USE_CPU") == "True" and "MASTER_PORT" in os.environ
    if several_asked and not any(name in os.environ for name in RANK_VARIABLES):
        raise ValueError(
            "accelerate launch --cpu starts one process however many are asked for, unless --mpirun_hostfile is given; "
            "to train with 2 processes on the CPU type `vidvox train video --processes 2 --train.cpu` (or train "
            f"voxels), or `accelerate launch --multi_gpu --num_processes 2 {Path(sys.argv[0]).name} --train.cpu`"
        )
