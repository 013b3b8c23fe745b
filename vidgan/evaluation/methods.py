"""What an evaluation measures: true clips, and what a model or the files of another tool make of them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import torch
from accelerate.utils import tqdm
from jaxtyping import UInt8
from torch import Tensor

from gancore.data import Draws, Sample, mix
from gancore.hub import HubModel
from vidgan.data.dataset import Clips, collate
from vidgan.evaluation.predictions import Predicted
from vidgan.files.video import to_float, to_uint8
from vidgan.networks.generator import FramePredictor, VideoGenerator
from vidgan.objective import Futures, Generator, imagine

KINDS: dict[str, type[FramePredictor] | type[VideoGenerator]] = {
    kind.__name__: kind for kind in (FramePredictor, VideoGenerator)
}


def load(folder_or_repo: str) -> Generator:
    """The model of a folder or a Hub repository, predictor or not, in eval mode on the CPU.

    Raises ValueError if it is neither.
    """
    kind = HubModel.kind(folder_or_repo)
    if kind not in KINDS:
        raise ValueError(f"{folder_or_repo} holds a {kind}, not one of {', '.join(KINDS)}")
    return KINDS[kind].from_pretrained(folder_or_repo)


@runtime_checkable
class Entrant(Protocol):
    """One whose clips are measured."""

    @property
    def samples(self) -> int:
        """Clips for each true one."""

    def __call__(self, batch: Clips, numbers: range) -> Futures:
        """What it makes of the true clips of these numbers, in bytes that have become floats again."""


@dataclass(frozen=True, kw_only=True)
class ModelEntrant:
    """A trained model; what it makes of a clip depends neither on the others nor on how they are batched."""

    model: Generator
    samples: int
    seed: int
    total: int

    def __call__(self, batch: Clips, numbers: range) -> Futures:
        place = next(self.model.parameters()).device
        draws = Draws(self.seed, first=numbers.start, total=self.total, device=place)
        # Rounded as in a file, so that a model is measured as its written predictions would be.
        return to_float(to_uint8(imagine(self.model, batch, draws, samples=self.samples)))


@dataclass(frozen=True, kw_only=True)
class FileEntrant:
    """Predictions that lie in files."""

    predicted: Predicted
    indices: tuple[int, ...]

    @property
    def samples(self) -> int:
        return len(self.predicted.files[0])

    def __call__(self, batch: Clips, numbers: range) -> Futures:
        futures = torch.stack([self.predicted[self.indices[number]] for number in numbers])
        return to_float(futures.to(batch.frames.device))


@runtime_checkable
class TrueClips(Protocol):
    """Clips in bytes with the number of their class."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; none if they are not known."""

    def __len__(self) -> int: ...

    def __getitem__(self, sample: Sample) -> tuple[Tensor, int]: ...


@dataclass(frozen=True, kw_only=True)
class Trials:
    """True clips of a data set or of files, and those who predict them."""

    true: TrueClips
    indices: tuple[int, ...]
    """Of those that are measured."""
    context: int
    entrants: Mapping[str, Entrant]
    seed: int
    place: torch.device
    paired: bool = True
    """Whether what is made of a true clip is to be that clip; if not, as a set it is to be like the true ones."""

    def __len__(self) -> int:
        return len(self.indices)

    def name(self, number: int) -> str:
        """What the clip is called."""
        names = getattr(self.true, "names", None)
        return names[self.indices[number]] if names else f"clip {self.indices[number]}"

    @cached_property
    def shape(self) -> torch.Size:
        """Of a clip: time, channels, height, width."""
        return self._item(0)[0].shape

    def _item(self, number: int) -> tuple[Tensor, int]:
        return self.true[Sample(self.indices[number], mix(self.seed, number))]

    def batches(self, size: int) -> Iterator[tuple[Clips, dict[str, Futures]]]:
        """All of them, so many at a time, behind a progress bar."""
        for first in tqdm(range(0, len(self), size), unit="batch", leave=False):
            yield self.batch(range(first, min(first + size, len(self))))

    def batch(self, numbers: range) -> tuple[Clips, dict[str, Futures]]:
        """The true clips of these numbers, and what each entrant makes of them."""
        items = [self._item(number) for number in numbers]
        batch = collate(items, self.context).to(self.place)
        return batch, {name: entrant(batch, numbers) for name, entrant in self.entrants.items()}


def evenly(total: int, most: int) -> tuple[int, ...]:
    """At most so many numbers below the total, evenly spaced; all of them if that is 0."""
    count = min(most or total, total)
    return tuple(number * total // count for number in range(count))


def pixels(clips: Tensor) -> UInt8[Tensor, "*shape"]:
    """Clips in [-1, 1] as bytes on the CPU."""
    return to_uint8(clips).cpu()
