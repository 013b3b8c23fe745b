"""A device that nobody can wait for: torch's meta device, whose tensors have shapes and no numbers.

To ask a GPU for a number, or for a shape that depends on numbers, is to wait until it has done all that it was given.
The meta device has no answer and raises an error, so what runs there would never wait for a GPU either. Two other
waits leave no trace on it and are looked for here: copies that are not asked to run in the background, and tensors made
of Python's numbers, which torch copies to the device.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from itertools import repeat
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from gancore.training.trainer import Trainer

COPIES = {torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default}
OF_NUMBERS = {torch.tensor, torch.as_tensor, torch.asarray, torch.Tensor.new_tensor}


class MetaAccelerator(Accelerator):
    """One process whose device is the meta device."""

    device = torch.device("meta")  # type: ignore[assignment]


class CopiesInTheBackground(TorchDispatchMode):
    """Refuses copies between devices that are waited for, and operations that make one."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        tensors = [each for each in tree_leaves((args, kwargs, result)) if isinstance(each, Tensor) and each.ndim]
        if len({tensor.device.type for tensor in tensors}) > 1:
            in_background = (kwargs or {}).get("non_blocking") or args[-1] is True
            assert func in COPIES, f"{func} takes tensors of two devices"
            assert in_background, f"{func} of {tuple(tensors[0].shape)} is waited for"
        return result


class NoTensorsOfNumbers(TorchFunctionMode):
    """Refuses tensors made of Python's numbers anywhere but on the CPU."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func in OF_NUMBERS and result.device.type != "cpu":
            raise AssertionError(f"{func.__name__} of {args[-1]} is copied to the device")
        return result


@contextmanager
def no_waiting() -> Iterator[None]:
    """What runs inside on the meta device would not make the host wait for a GPU."""
    with pytest.MonkeyPatch.context() as patch, CopiesInTheBackground(), NoTensorsOfNumbers():
        patch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # which does not know the meta device
        yield


def play(trained: Trainer, *, steps: int = 1, flow: bool = False) -> None:
    """Steps on one batch, with penalties at the first, that may wait for nothing."""
    batch = next(iter(trained._create_loader()))
    if flow:
        batch = replace(batch, displacement=batch.future[:, :, :2].float())
    with no_waiting():
        for _ in range(steps):
            trained.train_step(repeat(batch))
            trained.step += 1
    assert {parameter.device.type for parameter in trained.generator.parameters()} == {"meta"}
    updates = trained.recent_terms._unread
    assert {update.values.device.type for update in updates} == {"meta"}
    assert len(updates) >= steps
