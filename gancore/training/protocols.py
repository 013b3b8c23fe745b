"""What a trainer plays: a game of two players, its turns and batches, and who looks on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from gancore.data import SampleRandom


@dataclass(frozen=True)
class StepContext:
    """Where training stands, and the random numbers of one player's turn."""

    step: int
    progress: float
    """Share of the training that is done, in [0, 1]."""
    rng: SampleRandom
    mean_over_processes: Callable[[Tensor], Tensor] = torch.clone
    """Averages a number over the processes; all of them must ask."""


@runtime_checkable
class Batch(Protocol):
    """What the objective is played on."""

    def __len__(self) -> int: ...

    def to(self, device: torch.device) -> "Batch": ...


@runtime_checkable
class Objective(Protocol):
    """A game: the weighted terms of both players by name, whose sum is what each minimises."""

    @property
    def generator_parts(self) -> Sequence[str]:
        """Parts of the generator that move one after the other, each by its `<part>_terms`; none if it moves whole."""

    def discriminator_terms(
        self, generator: nn.Module, discriminator: nn.Module, batch: Any, step_context: StepContext
    ) -> Mapping[str, Tensor]: ...

    def generator_terms(
        self, generator: nn.Module, discriminator: nn.Module, batch: Any, step_context: StepContext
    ) -> Mapping[str, Tensor]: ...

    def constrain_discriminator(self, discriminator: nn.Module) -> None:
        """What is done to the discriminator's weights after each of its updates, such as clipping them."""


PreviewCallback = Callable[[Any, int, Path], None]
"""Shows what the averaged generator does: (generator, step, folder); runs in the main process alone."""


@runtime_checkable
class Evaluator(Protocol):
    """Measures the averaged generator on what it has not seen; runs in the main process alone."""

    @property
    def best_metric(self) -> str:
        """By which score the best average is kept, such as "lowest held_out/mse"."""

    def __call__(self, generator: Any) -> Mapping[str, float]: ...
