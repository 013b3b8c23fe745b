"""Wrappers that give predictors another past than the batch's: the clean one, or a restored one."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from vidgan.data.batch import ClipBatch
from vidgan.evaluation.methods import ModelMethod
from vidgan.evaluation.restorer import Restorer
from vidgan.frames import to_float, to_uint8
from vidgan.objective import Futures


@dataclass(frozen=True, kw_only=True)
class OtherPast:
    """A model that is given another past than the other methods are."""

    name: str
    method: ModelMethod
    change: Callable[[ClipBatch], ClipBatch]
    """Gives the clips of a batch another past."""

    @property
    def samples(self) -> int:
        return self.method.samples

    def predict(self, batch: ClipBatch, numbers: range) -> Futures:
        return self.method.predict(self.change(batch), numbers)


def give_true_past(batch: ClipBatch) -> ClipBatch:
    """Give the clips their own pasts."""
    return replace(batch, given_past=None)


def restore_past(restorer: Restorer, batch: ClipBatch) -> ClipBatch:
    """Give the clips what the restorer makes of their pasts alone, each by itself and rounded to bytes."""
    restored = torch.stack([restorer.translate(past) for past in to_uint8(batch.past).cpu()])
    return replace(batch, given_past=to_float(restored.to(batch.frames.device)))
