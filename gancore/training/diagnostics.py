"""Vital signs: what a few items show of both players while they train, as numbers that health is judged by."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from gancore.data import Draws, Sample, mix
from gancore.metrics.distances import density_coverage

ITEMS = 32
"""Items that are looked at, of those that training sees and of those held out."""
SAMPLES = 2
"""Outputs of different latents that are made of each."""
GROUP = 4
"""Items that are looked at at once."""
FEATURES = 4096
"""Numbers of each output that are compared; of larger ones as many are taken, always the same."""

Outputs = Float[Tensor, "batch *output"]
Scores = Float[Tensor, " batch"]


@runtime_checkable
class Observable(Protocol):
    """A game whose players can be looked at; outputs are what the generator is to make."""

    def true(self, batch: Any) -> Outputs:
        """The outputs of the items as they are in the data."""

    def made(self, generator: nn.Module, batch: Any, draws: Draws, *, samples: int) -> Outputs:
        """(batch, samples, *output): several outputs of each item, by different latents, given what is told of it."""

    def judged(self, discriminator: nn.Module, batch: Any, outputs: Outputs, draws: Draws) -> Scores:
        """The discriminator's scores of the items with these outputs."""


@torch.no_grad()
def vital_signs(
    game: Observable,
    generator: nn.Module,
    discriminator: nn.Module,
    *,
    seen: Iterable[Any],
    unseen: Iterable[Any] | None = None,
    draws: Draws,
) -> dict[str, float]:
    """What batches of training and held-out items show; changes neither player, and keeps one batch at a time.

    Outputs are made for held-out items if there are any. Everything drawn comes from `draws`.
    """
    scores: dict[str, list[Tensor]] = {"real": [], "fresh": [], "fake": []}
    outputs: dict[str, list[Tensor]] = {"true": [], "made": []}
    with resting(generator), resting(discriminator):
        for batch, known in _marked(seen, unseen):
            true = game.true(batch)
            scores["real" if known else "fresh"].append(game.judged(discriminator, batch, true, draws))
            if known and unseen is not None:
                continue
            made = game.made(generator, batch, draws, samples=SAMPLES)
            scores["fake"].append(game.judged(discriminator, batch, made[:, 0], draws))
            outputs["true"].append(features(true))
            outputs["made"].append(rearrange(features(made.flatten(0, 1)), "(b n) f -> b n f", n=SAMPLES))
    joined = {name: torch.cat(parts).float() for name, parts in (scores | outputs).items() if parts}
    return _of_outputs(joined["true"], joined["made"]) | _of_scores(
        joined["real"], fake=joined["fake"], fresh=joined.get("fresh")
    )


def some_items(
    dataset: Any, seed: int, *, collate: Callable[[Sequence[Any]], Any], device: torch.device
) -> Iterator[Any]:
    """Small batches of ITEMS items of a data set on the device, or of all if there are fewer."""
    count = min(ITEMS, len(dataset))
    chosen = Draws(seed).choose(1, count, len(dataset))[0].tolist()
    for first in range(0, count, GROUP):
        yield collate([dataset[Sample(index, mix(seed, index))] for index in chosen[first : first + GROUP]]).to(device)


def _marked(seen: Iterable[Any], unseen: Iterable[Any] | None) -> Iterator[tuple[Any, bool]]:
    """All batches, and whether training sees them."""
    yield from ((batch, True) for batch in seen)
    yield from ((batch, False) for batch in unseen or ())


@contextmanager
def resting(network: nn.Module) -> Iterator[None]:
    """The network in eval mode, so that nothing in it moves; then every module as it was."""
    modes = {module: module.training for module in network.modules()}
    try:
        network.eval()
        yield
    finally:
        for module, training in modes.items():
            module.training = training


def features(outputs: Outputs) -> Float[Tensor, "batch _features"]:
    """The outputs as rows of at most FEATURES numbers, on the CPU."""
    rows = outputs.flatten(1)
    if rows.shape[1] > FEATURES:
        chosen = torch.randperm(rows.shape[1], generator=torch.Generator().manual_seed(0))[:FEATURES]
        rows = rows[:, chosen.sort().values.to(rows.device)]
    return rows.float().cpu()


def _of_outputs(
    true: Float[Tensor, "items features"], made: Float[Tensor, "items samples features"]
) -> dict[str, float]:
    """How outputs differ: between items beside true ones, between latents beside their error, and what they cover."""
    if len(true) < 2:
        return {}
    between = made[:, 0].var(0).mean() / true.var(0).mean().clamp(min=1e-12)
    apart = (made[:, 0] - made[:, 1]).square().mean()
    wrong = (made - true[:, None]).square().mean().clamp(min=1e-12)
    signs = {"health/diversity": float(between.sqrt()), "health/noise": float((apart / wrong).sqrt())}
    if len(true) >= ITEMS:
        signs["health/coverage"] = density_coverage(true, made.flatten(0, 1))["coverage"]
    return signs


def _of_scores(
    real: Scores, *, fake: Float[Tensor, " fakes"], fresh: Float[Tensor, " fresh"] | None
) -> dict[str, float]:
    """How well the discriminator tells fakes from what it trains on, and how far it takes fresh items for fakes.

    The latter is r_v of Karras et al. 2020: 0 if held-out items score as training ones do, 1 if they score as fakes.
    """
    gap = real.mean() - fake.mean()
    signs = {"health/error": float((fake >= real[:, None]).float().mean()), "health/gap": float(gap)}
    if fresh is not None:
        told = gap > torch.cat([real - real.mean(), fake - fake.mean()]).square().mean().sqrt()
        signs["health/memorised"] = float((real.mean() - fresh.mean()) / gap) if told else 0.0
    return signs
