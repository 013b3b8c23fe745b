"""Functions that tests run in a process of its own, which must be able to import them."""

import os
import signal

import numpy as np
import torch

from gancore.benchmark import measure_peak_bytes

MEGABYTES = 2**20


def peak_after(megabytes: int) -> int:
    """Peak memory in bytes of this process after allocating and filling an array."""
    block = np.ones(megabytes * MEGABYTES, np.uint8)
    assert block[-1] == 1
    return measure_peak_bytes(torch.device("cpu"))


def kill_own_process() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
