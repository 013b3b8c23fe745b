"""The interfaces that the trainer expects: batches, updates, objectives, previews and evaluators."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from gancore.rng import SampleRandom


@dataclass(frozen=True)
class StepContext:
    """The position in the training, and the random numbers, of one update on one micro-batch."""

    step: int
    progress: float
    """Fraction of the training that is done, in [0, 1]."""
    rng: SampleRandom
    mean_over_processes: Callable[[Tensor], Tensor] = torch.clone
    """Averages a tensor over the processes; every process must call it."""
    num_processes: int = 1
    """Number of training processes."""


@runtime_checkable
class Batch(Protocol):
    """A batch of training data."""

    def __len__(self) -> int: ...

    def to(self, device: torch.device) -> "Batch": ...


@dataclass(frozen=True)
class Update:
    """One optimiser step of a player: the module to update, and the loss."""

    name: str
    """Prefix of the loss terms in the log."""
    module: nn.Module
    """The player's network, or the part of it that is updated while the rest stays frozen."""
    terms: Callable[[Any, StepContext], Mapping[str, Tensor]]
    """The weighted loss terms of a batch by name; their sum is minimised. {} skips the update."""


@runtime_checkable
class Objective(Protocol):
    """A two-player game: the updates of both players."""

    state: nn.Module
    """Buffers of the objective that a resumed run must restore, such as a running accuracy."""

    def discriminator_update(self, generator: Any, discriminator: Any) -> Update: ...

    def generator_updates(self, generator: Any, discriminator: Any) -> Sequence[Update]:
        """One update of the whole generator, or successive updates of its parts on the same batch."""

    def constrain_discriminator(self, discriminator: nn.Module) -> None:
        """Called after each discriminator update, e.g. to clip its weights."""


PreviewCallback = Callable[[Any, int, Path], None]
"""Draws samples of the EMA generator: (generator, step, folder); called in the main process only."""


@runtime_checkable
class Evaluator(Protocol):
    """Scores the EMA generator on held-out data; called in the main process only."""

    @property
    def best_metric(self) -> str:
        """The score that decides which EMA weights are kept, e.g. "lowest held_out/mse"."""

    def __call__(self, generator: Any) -> Mapping[str, float]: ...
