"""The device that a model computes on, and what goes there and comes back without a wait."""

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def select_device(*, cpu: bool = False) -> torch.device:
    """The GPU if there is one, unless the CPU is asked for."""
    return torch.device("cuda" if torch.cuda.is_available() and not cpu else "cpu")


def send(tensor: Tensor, device: torch.device | str) -> Tensor:
    """The tensor on the device; to a GPU it goes by page-locked memory, so that nobody waits until it is there."""
    if torch.device(device).type == "cuda" and tensor.device.type == "cpu":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def constant(*numbers: float | int, like: Tensor) -> Float[Tensor, " numbers"]:
    """These numbers in the precision and on the device of another tensor, made there: a list is copied with a wait."""
    return torch.stack([like.new_full((), number) for number in numbers])


def read_later(flag: Bool[Tensor, ""]) -> Callable[[], bool]:
    """Begins to copy a flag to the CPU; the function that is returned waits for the copy and says what it is.

    A GPU goes on with what it is given after this call: only what was asked of it before is waited for.
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
