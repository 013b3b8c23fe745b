"""Diagnostics of both players on a few items during training: the numbers under health/ that raise alarms."""

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
"""Number of training items, and of held-out items, per check."""
SAMPLES_PER_ITEM = 2
"""Number of outputs generated for each item, with different latents."""
ITEMS_PER_BATCH = 4
"""Number of items per batch; bounds the memory needed."""
MAX_FEATURES = 4096
"""Number of values compared per output; a fixed random subset of larger outputs."""

Outputs = Float[Tensor, "batch *output"]
Scores = Float[Tensor, " batch"]


@runtime_checkable
class Diagnosable(Protocol):
    """An objective whose players can be diagnosed; outputs are what the generator is trained to produce."""

    def real_outputs(self, batch: Any) -> Outputs:
        """The real outputs of the items, from the data."""

    def generate_outputs(self, generator: nn.Module, batch: Any, rng: SampleRandom, *, samples: int) -> Outputs:
        """(batch, samples, *output): generated outputs for the condition of each item, with different latents.

        One sample if the generator has no latent.
        """

    def score_outputs(self, discriminator: nn.Module, batch: Any, outputs: Outputs, rng: SampleRandom) -> Scores:
        """The discriminator's scores of these outputs, real or generated, given the conditions of the items."""


@runtime_checkable
class Measured(Protocol):
    """An objective that logs numbers besides its loss terms."""

    def measurements(self) -> dict[str, float]:
        """The numbers by their names in the log, equal in all processes."""


def read_measurements(objective: object) -> dict[str, float]:
    """The numbers that an objective logs besides its loss terms; {} for most objectives."""
    return objective.measurements() if isinstance(objective, Measured) else {}


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
    """Diversity, coverage, use of the noise, discriminator error and gap, and memorisation, by name under health/.

    Outputs are generated for held-out items if there are any, otherwise for training items. Both players and their
    modes are left unchanged; all random numbers come from `rng`.
    """
    scores: dict[str, list[Tensor]] = {"training": [], "held_out": [], "fake": []}
    outputs: dict[str, list[Tensor]] = {"real": [], "generated": []}
    with eval_mode(generator), eval_mode(discriminator):
        for batch, is_training in _mark_training(training_batches, held_out_batches):
            real = objective.real_outputs(batch)
            own_scores = scores["training" if is_training else "held_out"]
            own_scores.append(objective.score_outputs(discriminator, batch, real, rng))
            if is_training and held_out_batches is not None:
                continue
            generated = objective.generate_outputs(generator, batch, rng, samples=SAMPLES_PER_ITEM)
            scores["fake"].append(objective.score_outputs(discriminator, batch, generated[:, 0], rng))
            outputs["real"].append(flatten_outputs(real))
            outputs["generated"].append(
                rearrange(flatten_outputs(generated.flatten(0, 1)), "(b n) f -> b n f", n=generated.shape[1])
            )
    joined = {name: torch.cat(parts).float() for name, parts in (scores | outputs).items() if parts}
    return _diagnose_outputs(joined["real"], joined["generated"]) | _diagnose_scores(
        joined["training"], fake=joined["fake"], held_out=joined.get("held_out")
    )


def sample_batches(
    dataset: Any, seed: int, *, collate: Callable[[Sequence[Any]], Any], device: torch.device
) -> Iterator[Any]:
    """Batches of ITEMS_PER_BATCH items on the device: MAX_ITEMS drawn with the seed, or all if there are fewer."""
    count = min(MAX_ITEMS, len(dataset))
    chosen = SampleRandom(seed).choice(1, count, len(dataset))[0].tolist()
    for first in range(0, count, ITEMS_PER_BATCH):
        yield collate(
            [dataset[Sample(index, derive_seed(seed, index))] for index in chosen[first : first + ITEMS_PER_BATCH]]
        ).to(device)


def _mark_training(training: Iterable[Any], held_out: Iterable[Any] | None) -> Iterator[tuple[Any, bool]]:
    """All batches, each with a flag: whether it holds training items."""
    yield from ((batch, True) for batch in training)
    yield from ((batch, False) for batch in held_out or ())


@contextmanager
def eval_mode(network: nn.Module) -> Iterator[None]:
    """Puts the network into eval mode within the block, and restores the mode of every module afterwards."""
    modes = {module: module.training for module in network.modules()}
    try:
        network.eval()
        yield
    finally:
        for module, training in modes.items():
            module.training = training


def flatten_outputs(outputs: Outputs) -> Float[Tensor, "batch _features"]:
    """The outputs as float32 rows of at most MAX_FEATURES values, on the CPU."""
    rows = outputs.flatten(1)
    if rows.shape[1] > MAX_FEATURES:
        chosen = torch.randperm(rows.shape[1], generator=torch.Generator().manual_seed(0))[:MAX_FEATURES]
        rows = rows[:, chosen.sort().values.to(rows.device)]
    return rows.float().cpu()


def _diagnose_outputs(
    real: Float[Tensor, "items features"], generated: Float[Tensor, "items samples features"]
) -> dict[str, float]:
    """Numbers that need outputs only, ideally all 1.

    health/diversity: standard deviation of generated outputs, divided by that of real ones.
    health/noise: RMS difference between outputs with different latents, divided by their RMS error.
    health/coverage, with MAX_ITEMS items: fraction of real outputs with a generated one near them.
    """
    if len(real) < 2:
        return {}
    variance_ratio = generated[:, 0].var(0).mean() / real.var(0).mean().clamp(min=1e-12)
    numbers = {"health/diversity": float(variance_ratio.sqrt())}
    if generated.shape[1] > 1:
        spread = (generated[:, 0] - generated[:, 1]).square().mean()
        error = (generated - real[:, None]).square().mean().clamp(min=1e-12)
        numbers["health/noise"] = float((spread / error).sqrt())
    if len(real) >= MAX_ITEMS:
        numbers["health/coverage"] = density_coverage(real, generated.flatten(0, 1))["coverage"]
    return numbers


def _diagnose_scores(
    real: Scores, *, fake: Float[Tensor, " fakes"], held_out: Float[Tensor, " held_out"] | None
) -> dict[str, float]:
    """Numbers that need the discriminator's scores.

    health/error: fraction of (training item, fake) pairs in which the fake scores at least as high.
    health/gap: mean score of training items minus that of fakes.
    health/memorised: r_v of Karras et al. 2020 (ADA): 0 if held-out items score like training items, 1 if they score
    like fakes. It is set to 0 while the gap is within one standard deviation of the scores.
    """
    gap = real.mean() - fake.mean()
    numbers = {"health/error": float((fake >= real[:, None]).float().mean()), "health/gap": float(gap)}
    if held_out is not None:
        distinguishable = gap > torch.cat([real - real.mean(), fake - fake.mean()]).square().mean().sqrt()
        numbers["health/memorised"] = float((real.mean() - held_out.mean()) / gap) if distinguishable else 0.0
    return numbers
