"""Reads the weights of a model from a safetensors file, held against the model before memory is taken for them."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.modules import module as hooks

from gancore.checkpoint import check_architecture
from gancore.errors import ArchitectureError
from gancore.files.reading import as_unreadable, require_regular_file

MAX_HEADER_BYTES = 2**24
"""Longer headers are refused; one names a hundred thousand weights in as many bytes."""
KIND = "the weights of a model"
FLOATS = {"F16", "BF16", "F32", "F64"}
"""Types of weights that may stand for each other."""


@dataclass(frozen=True)
class StoredWeight:
    """A weight as the header of a file describes it."""

    shape: tuple[int, ...]
    dtype: str
    """As safetensors calls it, such as F32."""


def read_header(path: Path) -> dict[str, StoredWeight]:
    """Return the weights of a safetensors file by name; none is loaded.

    Raises FileNotFoundError, or UnreadableError naming the file if it is of another format, damaged or cut short.
    """
    require_regular_file(path)
    with as_unreadable(path, KIND):
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
        if length > min(MAX_HEADER_BYTES, path.stat().st_size - 8):
            raise ValueError(f"it is no safetensors file, or was cut short: its header would have {length:,} bytes")
        with safe_open(path, "pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
            return {name: StoredWeight(tuple(each.get_shape()), each.get_dtype()) for name, each in slices.items()}


@contextmanager
def stop_beyond(weights: int, *, name: object) -> Iterator[None]:
    """Stops the construction of a model that becomes many times larger than a file of so many weights.

    A model is built without memory for its weights, but a thousand million layers would still take hours and all the
    memory there is. Raises ArchitectureError that names the file of settings.
    """
    left, thread = 10 * weights + 1000, threading.get_ident()  # wrappers and lists of layers have no weights

    def count(*_: object) -> None:
        nonlocal left
        if threading.get_ident() == thread:
            left -= 1
            if left < 0:
                raise ArchitectureError(f"{name} describes a model of many more weights than the {weights} stored")

    with ExitStack() as stack:
        for register in (
            hooks.register_module_module_registration_hook,
            hooks.register_module_parameter_registration_hook,
            hooks.register_module_buffer_registration_hook,
        ):
            stack.callback(register(count).remove)
        yield


def load_weights(model: nn.Module, path: Path, header: Mapping[str, StoredWeight]) -> dict[str, Tensor]:
    """Fill a model that was built on the meta device from a file, on the CPU.

    Args:
        model: Its parameters and buffers get memory only once the header has been found right.
        path: A safetensors file.
        header: What `read_header` returned for it.

    Returns:
        The weights of the file, each of the type in which it was stored.

    Raises:
        ArchitectureError: The names or shapes are those of another architecture.
        ValueError: The file cannot be read, a weight has a type that cannot stand for that of the model, or is NaN or
            infinite.
    """
    check_architecture(model, header, str(path))
    own_types = {name: own.dtype for name, own in model.state_dict().items()}
    for name, own_type in own_types.items():
        if (header[name].dtype in FLOATS) != own_type.is_floating_point:
            raise ArchitectureError(f"{path} is of another architecture: {name} is of type {header[name].dtype}")
    with as_unreadable(path, KIND):
        weights = load_file(path)
        # copies, as files that are mapped may change; to_empty would import half a second's worth of the compiler
        filled = {name: weight.to(own_types[name], copy=True) for name, weight in weights.items()}
        model.load_state_dict(filled, assign=True)
    broken = [name for name, own in model.state_dict().items() if not torch.isfinite(own).all()]
    if broken:
        raise ValueError(
            f"{path} is of no use: {len(broken)} of {len(weights)} weights are NaN or infinite, such as {broken[0]}"
        )
    return weights
