"""Vital signs: what a few items show of both players while they train, as numbers that health is judged by."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from gancore.data import Sample
from gancore.metrics.distances import density_coverage
from gancore.rng import SampleRandom, derive_seed

MAX_ITEMS = 32
"""Items that are looked at, of those that training sees and of those held out."""
SAMPLES_PER_ITEM = 2
"""Outputs of different latents that are made of each."""
ITEMS_PER_BATCH = 4
"""Items that are looked at at once."""
MAX_FEATURES = 4096
"""Numbers of each output that are compared; of larger ones as many are taken, always the same."""

Outputs = Float[Tensor, "batch *output"]
Scores = Float[Tensor, " batch"]


@runtime_checkable
class Diagnosable(Protocol):
    """A game whose players can be looked at; outputs are what the generator is to make."""

    def real_outputs(self, batch: Any) -> Outputs:
        """The outputs of the items as they are in the data."""

    def generate_outputs(self, generator: nn.Module, batch: Any, rng: SampleRandom, *, samples: int) -> Outputs:
        """(batch, samples, *output): several outputs of each item, by different latents, given what is told of it."""

    def score_outputs(self, discriminator: nn.Module, batch: Any, outputs: Outputs, rng: SampleRandom) -> Scores:
        """The discriminator's scores of the items with these outputs."""


@torch.no_grad()
def diagnose_players(
    objective: Diagnosable,
    generator: nn.Module,
    discriminator: nn.Module,
    *,
    training_batches: Iterable[Any],
    held_out_batches: Iterable[Any] | None = None,
    rng: SampleRandom,
) -> dict[str, float]:
    """What batches of training and held-out items show; changes neither player, and keeps one batch at a time.

    Outputs are made for held-out items if there are any. Everything drawn comes from `draws`.
    """
    scores: dict[str, list[Tensor]] = {"real": [], "fresh": [], "fake": []}
    outputs: dict[str, list[Tensor]] = {"true": [], "made": []}
    with eval_mode(generator), eval_mode(discriminator):
        for batch, known in _mark_training(training_batches, held_out_batches):
            true = objective.real_outputs(batch)
            scores["real" if known else "fresh"].append(objective.score_outputs(discriminator, batch, true, rng))
            if known and held_out_batches is not None:
                continue
            made = objective.generate_outputs(generator, batch, rng, samples=SAMPLES_PER_ITEM)
            scores["fake"].append(objective.score_outputs(discriminator, batch, made[:, 0], rng))
            outputs["true"].append(flatten_outputs(true))
            outputs["made"].append(
                rearrange(flatten_outputs(made.flatten(0, 1)), "(b n) f -> b n f", n=SAMPLES_PER_ITEM)
            )
    joined = {name: torch.cat(parts).float() for name, parts in (scores | outputs).items() if parts}
    return _diagnose_outputs(joined["true"], joined["made"]) | _diagnose_scores(
        joined["real"], fake=joined["fake"], fresh=joined.get("fresh")
    )


def sample_batches(
    dataset: Any, seed: int, *, collate: Callable[[Sequence[Any]], Any], device: torch.device
) -> Iterator[Any]:
    """Small batches of ITEMS items of a data set on the device, or of all if there are fewer."""
    count = min(MAX_ITEMS, len(dataset))
    chosen = SampleRandom(seed).choice(1, count, len(dataset))[0].tolist()
    for first in range(0, count, ITEMS_PER_BATCH):
        yield collate(
            [dataset[Sample(index, derive_seed(seed, index))] for index in chosen[first : first + ITEMS_PER_BATCH]]
        ).to(device)


def _mark_training(seen: Iterable[Any], unseen: Iterable[Any] | None) -> Iterator[tuple[Any, bool]]:
    """All batches, and whether training sees them."""
    yield from ((batch, True) for batch in seen)
    yield from ((batch, False) for batch in unseen or ())


@contextmanager
def eval_mode(network: nn.Module) -> Iterator[None]:
    """The network in eval mode, so that nothing in it moves; then every module as it was."""
    modes = {module: module.training for module in network.modules()}
    try:
        network.eval()
        yield
    finally:
        for module, training in modes.items():
            module.training = training


def flatten_outputs(outputs: Outputs) -> Float[Tensor, "batch _features"]:
    """The outputs as rows of at most FEATURES numbers, on the CPU."""
    rows = outputs.flatten(1)
    if rows.shape[1] > MAX_FEATURES:
        chosen = torch.randperm(rows.shape[1], generator=torch.Generator().manual_seed(0))[:MAX_FEATURES]
        rows = rows[:, chosen.sort().values.to(rows.device)]
    return rows.float().cpu()


def _diagnose_outputs(
    true: Float[Tensor, "items features"], made: Float[Tensor, "items samples features"]
) -> dict[str, float]:
    """How outputs differ: between items beside true ones, between latents beside their error, and what they cover."""
    if len(true) < 2:
        return {}
    between = made[:, 0].var(0).mean() / true.var(0).mean().clamp(min=1e-12)
    apart = (made[:, 0] - made[:, 1]).square().mean()
    wrong = (made - true[:, None]).square().mean().clamp(min=1e-12)
    signs = {"health/diversity": float(between.sqrt()), "health/noise": float((apart / wrong).sqrt())}
    if len(true) >= MAX_ITEMS:
        signs["health/coverage"] = density_coverage(true, made.flatten(0, 1))["coverage"]
    return signs


def _diagnose_scores(
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
