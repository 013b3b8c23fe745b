"""Choosing the device, and moving tensors to and from it without waiting for it."""

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def select_device(*, cpu: bool = False) -> torch.device:
    """The GPU if there is one and `cpu` is false, otherwise the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() and not cpu else "cpu")


def send(tensor: Tensor, device: torch.device | str) -> Tensor:
    """Moves a tensor to the device; to a GPU asynchronously, through page-locked memory."""
    if torch.device(device).type == "cuda" and tensor.device.type == "cpu":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def constant(*numbers: float | int, like: Tensor) -> Float[Tensor, " numbers"]:
    """A vector of numbers with the dtype and device of `like`; `torch.tensor` of a list would wait for the GPU."""
    return torch.stack([like.new_full((), number) for number in numbers])


def read_later(flag: Bool[Tensor, ""]) -> Callable[[], bool]:
    """Starts copying a flag to the CPU; the returned function waits for the copy and returns the flag.

    It waits only for work queued on the GPU before this call, not for work queued later.
    """
    if flag.device.type != "cuda":
        return partial(bool, flag)
    copy, copied = torch.empty_like(flag, device="cpu", pin_memory=True), torch.cuda.Event()
    copy.copy_(flag, non_blocking=True)
    copied.record()

    def read() -> bool:
        copied.synchronize()
        return bool(copy)

    return read
