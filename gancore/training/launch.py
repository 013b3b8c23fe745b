"""The processes of a training: how they begin together and end cleanly, on GPUs and on CPUs."""

import os
import sys

import psutil
import torch
from accelerate import Accelerator
from accelerate.commands.config import load_config_from_file
from accelerate.commands.launch import launch_command_parser

from gancore.config import TrainConfig


def create_accelerator(config: TrainConfig) -> Accelerator:
    """The processes and the device that `accelerate launch` or plain Python gave, at the precision that suits them."""
    if _is_unlaunched_cpu_run() and (processes := _requested_processes()) > 1:
        _exec_launcher(processes)
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


def _is_unlaunched_cpu_run() -> bool:
    """Whether `accelerate launch --cpu` was asked for several processes: without MPI it starts one."""
    several = os.environ.get("ACCELERATE_USE_CPU") == "True" and "MASTER_PORT" in os.environ
    return several and not any(name in os.environ for name in ("RANK", "PMI_RANK", "OMPI_COMM_WORLD_RANK"))


def _requested_processes() -> int:
    """Processes that the `accelerate launch` above this process was asked for, by flag or file; 1 if none is there."""
    parent = psutil.Process().parent()
    words = parent.cmdline() if parent else []
    launchers = [place for place, word in enumerate(words) if word.endswith(("launch", "launch.py"))]
    if not launchers:
        return 1
    asked, _ = launch_command_parser().parse_known_args(words[launchers[0] + 1 :])
    if (asked.num_machines or 1) > 1:
        raise ValueError("accelerate launch --cpu starts several machines by MPI only: give it --mpirun_hostfile")
    if asked.num_processes is None:
        return load_config_from_file(asked.config_file).num_processes
    return asked.num_processes


def _exec_launcher(processes: int) -> None:
    """Puts the launcher of so many processes with the same command in place of this one; does not return."""
    launcher = f"-m accelerate.commands.launch --multi_gpu --num_processes {processes} --main_process_port 0"
    settled = "--num_machines 1 --mixed_precision no --dynamo_backend no"
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *launcher.split(), *settled.split(), *sys.argv])
