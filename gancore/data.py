"""The order in which samples are read, as a function of (seed, step) alone."""

from collections.abc import Iterator, Sized
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import torch
from torch.utils.data import Sampler

from gancore.rng import derive_seed


@dataclass(frozen=True)
class Sample:
    """An item to read, and the seed of everything random about reading it (window, crop, flip)."""

    index: int
    seed: int


class EndlessBatches(Sampler[list[Sample]]):
    """The endless batches of one process, starting at batch number `first_batch`.

    The global batch of a given number does not depend on the number of processes: each epoch is a permutation seeded
    by (seed, epoch), and process `rank` of `world_size` takes its contiguous share.

    Raises ValueError if the data set is empty.
    """

    def __init__(
        self, size: int, *, batch_size: int, seed: int, first_batch: int = 0, rank: int = 0, world_size: int = 1
    ):
        if size < 1:
            raise ValueError("the data set is empty")
        self.size, self.batch_size, self.seed = size, batch_size, seed
        self.first_batch, self.rank, self.world_size = first_batch, rank, world_size

    def __iter__(self) -> Iterator[list[Sample]]:
        epoch, order = -1, torch.empty(0, dtype=torch.long)
        number = self.first_batch
        while True:
            start = (number * self.world_size + self.rank) * self.batch_size
            samples = []
            for count in range(start, start + self.batch_size):
                if count // self.size != epoch:
                    epoch = count // self.size
                    order = torch.randperm(
                        self.size, generator=torch.Generator().manual_seed(derive_seed(self.seed, 1, epoch))
                    )
                samples.append(Sample(int(order[count % self.size]), derive_seed(self.seed, 2, count)))
            yield samples
            number += 1


def count_items(dataset: Sized) -> int:
    """The items that a data set counts as its own, which are more than its length where others are mixed in."""
    return getattr(dataset, "items", len(dataset))


def describe_items(dataset: Sized) -> dict[str, Any]:
    """The items of a data set: their `count`, and a `digest` of its `item_names`, empty if it has none."""
    names = "\n".join(sorted(getattr(dataset, "item_names", ()))).encode("utf-8", "surrogateescape")
    return {"count": count_items(dataset), "digest": blake2b(names, digest_size=4).hexdigest() if names else ""}


def evenly_spaced(total: int, *, count: int | None) -> list[int]:
    """Up to `count` of the indices 0 to total - 1, evenly spaced from 0 on; all of them if `count` is None."""
    count = total if count is None else min(count, total)
    return [number * total // count for number in range(count)]
