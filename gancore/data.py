"""The order in which items are read during training, a function of seed and step only."""

from collections.abc import Iterator, Sized
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import torch
from torch.utils.data import Sampler

from gancore.rng import derive_seed


@dataclass(frozen=True)
class Sample:
    """The index of an item to read, and the seed of all random choices in reading it (window, crop, flip)."""

    index: int
    seed: int


class EndlessBatches(Sampler[list[Sample]]):
    """Endless batches for one process, starting at batch number `first_batch`.

    Each epoch is a permutation seeded by (seed, epoch), and process `rank` of `world_size` takes a contiguous part of
    each global batch. So the global batch of a given number does not depend on the number of processes.

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
    """The data set's `items` if it has that attribute (it mixes in others beyond its length), otherwise its length."""
    return getattr(dataset, "items", len(dataset))


def describe_items(dataset: Sized) -> dict[str, Any]:
    """The items of a data set: their `count`, and a `digest` of its `item_names`, empty if it has none."""
    names = "\n".join(sorted(getattr(dataset, "item_names", ()))).encode("utf-8", "surrogateescape")
    return {"count": count_items(dataset), "digest": blake2b(names, digest_size=4).hexdigest() if names else ""}


def evenly_spaced(total: int, *, count: int | None) -> list[int]:
    """Up to `count` evenly spaced indices below `total`, starting with 0; all of them if `count` is None."""
    count = total if count is None else min(count, total)
    return [number * total // count for number in range(count)]
