"""Loss terms and gradient norms of recent updates, kept on the device until they are needed."""

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean

import torch
from jaxtyping import Float
from torch import Tensor, nn


@dataclass(frozen=True)
class UpdateTerms:
    """The loss terms and gradient norms of one update; the tensors stay on the device."""

    step: int
    names: tuple[str, ...]
    values: Float[Tensor, " terms"]
    weights: tuple[str, ...]
    """Names of the weights that have a gradient."""
    gradient_norms: Float[Tensor, " weights"]
    """The gradient norm of each of these weights."""


@torch.no_grad()
def measure_gradients(module: nn.Module) -> tuple[tuple[str, ...], Float[Tensor, " weights"]]:
    """The names of the module's weights that have a gradient, and the norms of these gradients."""
    found = {name: weight.grad for name, weight in module.named_parameters() if weight.grad is not None}
    if not found:
        return (), torch.zeros(0, device=next(module.parameters()).device)
    return tuple(found), torch.stack(torch._foreach_norm(list(found.values())))


class RecentTerms:
    """The loss terms of the updates since the last log line.

    Reading a number from a GPU waits for all work queued there. So the terms are read only by `check`, at log steps
    and before anything is written that must not come from a loss that is not finite.
    """

    def __init__(self) -> None:
        self._unread: list[UpdateTerms] = []
        self._series: defaultdict[str, list[float]] = defaultdict(list)

    def add(self, terms: UpdateTerms) -> None:
        """Records the terms of an update, without reading them."""
        self._unread.append(terms)

    def check(self) -> None:
        """Reads the terms added since the last call. Raises ValueError for the first one that is not finite."""
        updates, self._unread = self._unread, []
        if not updates:
            return
        values = torch.cat([update.values for update in updates]).tolist()
        steps: defaultdict[int, dict[str, float]] = defaultdict(dict)
        for update in updates:
            own, values = values[: len(update.names)], values[len(update.names) :]
            for name, value in zip(update.names, own, strict=True):
                if not math.isfinite(value):
                    where = _describe_gradients(update) if name.startswith("gradient/") else ""
                    raise ValueError(f"step {update.step}: {name} is {value}{where}; the last checkpoint is untouched")
            steps[update.step] |= dict(zip(update.names, own, strict=True))  # the last update of a step wins
        for step in steps.values():
            for name, value in step.items():
                self._series[name].append(value)

    def take_means(self) -> dict[str, float]:
        """The mean of each term over the steps since the last call. Raises what `check` raises."""
        self.check()
        means = {name: fmean(values) for name, values in self._series.items()}
        self._series.clear()
        return means


def _describe_gradients(update: UpdateTerms) -> str:
    """ " in WEIGHT" for the first weight with a gradient that is not finite; "" if only the total norm overflowed."""
    norms: Iterable[float] = update.gradient_norms.tolist()
    broken = [name for name, norm in zip(update.weights, norms, strict=True) if not math.isfinite(norm)]
    return f" in {broken[0]}" if broken else ""
