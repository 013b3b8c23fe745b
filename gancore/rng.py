"""Random numbers that depend only on the seed and the step."""

import hashlib

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gancore.device import send


def derive_seed(*numbers: int) -> int:
    """A 63-bit seed, a hash of any integers; the same on every machine."""
    digest = hashlib.blake2b(b",".join(b"%d" % number for number in numbers), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


class SampleRandom:
    """Random numbers for a batch that do not depend on how it is split over processes and micro-batches.

    Each part draws the numbers of all `total_samples` of the global batch from the same seed, and keeps those of its
    own samples, from `first_sample` on.
    """

    def __init__(
        self, seed: int, *, first_sample: int = 0, total_samples: int | None = None, device: torch.device | str = "cpu"
    ):
        self.torch_generator = torch.Generator().manual_seed(seed)
        self.first_sample, self.total_samples, self.device = first_sample, total_samples, device

    def _local_share(self, numbers: Tensor, batch: int) -> Tensor:
        return send(numbers[self.first_sample : self.first_sample + batch], self.device)

    def normal(self, batch: int, *shape: int, truncation: float | None = None) -> Float[Tensor, "..."]:
        """N(0, 1) numbers of shape (batch, *shape), or with `truncation` numbers from the truncated normal.

        Those are N(0, 1) conditioned on a magnitude of at most `truncation` (the truncation trick, Brock et al. 2019);
        0 gives zeros. Raises ValueError if it is negative.
        """
        if truncation is not None and not truncation >= 0:
            raise ValueError(f"truncation must be at least 0, got {truncation}")
        if truncation is None:
            numbers = torch.randn(self.total_samples or batch, *shape, generator=self.torch_generator)
            return self._local_share(numbers, batch)
        share = torch.special.ndtr(torch.tensor(truncation, dtype=torch.float64))
        quantiles = 1 - share + (2 * share - 1) * self.uniform(batch, *shape).double()
        return torch.special.ndtri(quantiles).float()

    def uniform(self, batch: int, *shape: int) -> Float[Tensor, "..."]:
        """U[0, 1) numbers of shape (batch, *shape)."""
        return self._local_share(torch.rand(self.total_samples or batch, *shape, generator=self.torch_generator), batch)

    def choice(self, batch: int, k: int, of: int) -> Int[Tensor, "batch k"]:
        """For each sample, k distinct integers below `of`, in random order. Raises ValueError if k > of."""
        if k > of:
            raise ValueError(f"cannot choose {k} distinct numbers out of {of}")
        return self.uniform(batch, of).argsort(1)[:, :k]

    def balanced(self, batch: int, of: int) -> Int[Tensor, " batch"]:
        """For each sample, one integer below `of`; a random permutation of them is repeated over the batch."""
        order = torch.randperm(of, generator=self.torch_generator)
        return self._local_share(order.repeat(-(-(self.total_samples or batch) // of)), batch)
