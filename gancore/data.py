"""The order of samples and every random number of a step, as functions of (seed, step) alone."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.data import Sampler


@dataclass(frozen=True)
class Sample:
    """Which item to read, and the seed of all that is random about how it is read (window, crop, flip)."""

    index: int
    seed: int


def derive_seed(*numbers: int) -> int:
    """A well-mixed 63-bit seed from any integers; the same on every machine."""
    digest = hashlib.blake2b(b",".join(b"%d" % number for number in numbers), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def is_held_out(name: str, share: float) -> bool:
    """Whether the item of this name belongs to the held-out part; never changes when other items come or go."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little") < share * 2**64


class EndlessBatches(Sampler[list[Sample]]):
    """The batches of one process from batch number `first` on, for ever.

    The global batch of a given number is the same whatever the number of processes: each epoch is a permutation seeded
    by (seed, epoch), and process `rank` of `world` takes its contiguous share.

    Raises ValueError if there is nothing to draw from.
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


class SampleRandom:
    """Random numbers for the samples of a batch that do not depend on how it is cut over processes and micro-batches.

    Numbers are drawn for the `total` samples of the global batch from one seed; this part keeps those from `first` on.
    """

    def __init__(
        self, seed: int, *, first_sample: int = 0, total_samples: int | None = None, device: torch.device | str = "cpu"
    ):
        self.torch_generator = torch.Generator().manual_seed(seed)
        self.first_sample, self.total_samples, self.device = first_sample, total_samples, device

    def _local_share(self, numbers: Tensor, batch: int) -> Tensor:
        return numbers[self.first_sample : self.first_sample + batch].to(self.device)

    def normal(self, batch: int, *shape: int) -> Float[Tensor, "..."]:
        """N(0, 1) numbers of shape (batch, *shape)."""
        return self._local_share(
            torch.randn(self.total_samples or batch, *shape, generator=self.torch_generator), batch
        )

    def uniform(self, batch: int, *shape: int) -> Float[Tensor, "..."]:
        """U[0, 1) numbers of shape (batch, *shape)."""
        return self._local_share(torch.rand(self.total_samples or batch, *shape, generator=self.torch_generator), batch)

    def choice(self, batch: int, k: int, of: int) -> Int[Tensor, "batch k"]:
        """k distinct numbers below `of` for each sample, in random order. Raises ValueError if k > of."""
        if k > of:
            raise ValueError(f"cannot choose {k} distinct frames out of {of}")
        return self.uniform(batch, of).argsort(1)[:, :k]

    def balanced(self, batch: int, of: int) -> Int[Tensor, " batch"]:
        """A number below `of` for each sample, in random order; none comes twice before each has come once."""
        order = torch.randperm(of, generator=self.torch_generator)
        return self._local_share(order.repeat(-(-(self.total_samples or batch) // of)), batch)


def evenly_spaced(total: int, *, count: int | None) -> list[int]:
    """Up to `count` of the indices 0 to total - 1, evenly spaced from 0 on; all of them if `count` is None."""
    count = total if count is None else min(count, total)
    return [number * total // count for number in range(count)]
