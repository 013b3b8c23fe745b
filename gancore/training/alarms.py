"""Alarms for GAN training that goes wrong: named rules on the logged numbers, each with evidence and advice."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median, quantiles

import torch
from torch import nn

SUSTAINED_LINES = 20
"""Consecutive log lines for which a condition on the losses must hold before it raises an alarm."""
SUSTAINED_DIAGNOSES = 4
"""Consecutive diagnostics (health/) for which a condition must hold before it raises an alarm."""
STARTUP_DIAGNOSES = 8
"""The same, for conditions that untrained networks often meet as well."""
REARM_LINES = 50
"""Log lines without the condition of an alarm after which the alarm can be raised again."""
MAX_HISTORY = 1000
"""Number of latest values kept per name."""
OSCILLATION_WINDOW = 60
"""Number of latest log lines searched for an oscillating loss."""


@dataclass(frozen=True)
class Alarm:
    """A state of the training that usually ends badly."""

    name: str
    """Name of the rule that raised it, a key of `REMEDIES`, with underscores."""
    evidence: str
    """What the log shows."""
    advice: str
    """What usually helps."""

    def __str__(self) -> str:
        return f"{self.name.replace('_', ' ')}: {self.evidence}. What usually helps: {self.advice}"


class LogHistory:
    """The latest logged values, by name."""

    def __init__(self) -> None:
        self.series: defaultdict[str, list[float]] = defaultdict(list)

    def add(self, values: Mapping[str, float | int]) -> None:
        """Appends the values of a log line; a new loss term of a player clears that player's earlier gradient norms."""
        for name, value in values.items():
            player = name.partition("/")[0]
            if name not in self.series and f"gradient/{player}" in self.series:
                self.series[f"gradient/{player}"].clear()
            series = self.series[name]
            series.append(value)
            if len(series) >= 2 * MAX_HISTORY:
                del series[:-MAX_HISTORY]

    def __getitem__(self, name: str) -> Sequence[float]:
        return self.series.get(name, ())[-MAX_HISTORY:]

    def newest(self, name: str, count: int = SUSTAINED_DIAGNOSES) -> Sequence[float]:
        """The newest `count` values; empty if there are fewer."""
        values = self[name]
        return values[-count:] if len(values) >= count else ()

    def shared_terms(self) -> list[str]:
        """Names of the loss terms that both players have: the adversarial ones."""
        terms = [name.removeprefix("discriminator/") for name in self.series if name.startswith("discriminator/")]
        return [term for term in terms if f"generator/{term}" in self.series]


# ------------------------------------- rules: each returns the evidence of its condition, "" if it does not hold


def mode_collapse(history: LogHistory) -> str:
    """The generator's outputs hardly differ, whatever its input."""
    diversity = history.newest("health/diversity", STARTUP_DIAGNOSES)
    if diversity and max(diversity) < 0.1:
        return f"the outputs for different inputs differ by {diversity[-1]:.2g} of what real ones do"
    return ""


def coverage_falls(history: LogHistory) -> str:
    """Coverage, the fraction of real outputs with a generated one near them, has halved since its best."""
    coverage = history["health/coverage"]
    smooth = [
        median(coverage[end - SUSTAINED_DIAGNOSES : end]) for end in range(SUSTAINED_DIAGNOSES, len(coverage) + 1)
    ]
    if smooth and max(smooth) >= 0.3 and max(coverage[-SUSTAINED_DIAGNOSES:]) < max(smooth) / 2:
        return f"generated outputs lie near {smooth[-1]:.0%} of the real ones, down from {max(smooth):.0%}"
    return ""


def loss_oscillates(history: LogHistory) -> str:
    """The generator's loss swings between distant levels, as it does when cycling through modes."""
    for term in history.shared_terms():
        losses = history.newest(f"generator/{term}", OSCILLATION_WINDOW)
        rival = history.newest(f"discriminator/{term}", OSCILLATION_WINDOW)
        if losses and rival and min(rival) >= 0:
            # A generator's loss that may be negative has no scale of its own; then the discriminator's is used.
            scale = median(losses) if min(losses) > 0 else median(rival)
            swings, low, high = count_swings(losses)
            if swings >= 3 and high - low > 0.4 * scale:
                return (
                    f"generator/{term} swung {swings} times between {low:.3g} and {high:.3g} "
                    f"in {OSCILLATION_WINDOW} log lines"
                )
    return ""


def count_swings(losses: Sequence[float]) -> tuple[int, float, float]:
    """Counts the swings of a series between its lowest and its highest fifth.

    Returns:
        The number of swings, 0 for mere noise; the upper bound of the lowest and the lower bound of the highest fifth.
    """
    smooth = [median(losses[first : first + 3]) for first in range(len(losses) - 2)]
    low, *_, high = quantiles(smooth, n=5)
    typical_change = median(abs(b - a) for a, b in pairwise(losses))
    sides = [value > high for value in smooth if not low <= value <= high]
    return sum(a != b for a, b in pairwise(sides)) if high - low > 4.5 * typical_change else 0, low, high


def discriminator_wins(history: LogHistory) -> str:
    """The discriminator's loss stays near zero, for losses with a minimum of 0 and a chance level of 0.5 to 2.

    Energy-based losses have no such level and are skipped.
    """
    for term in history.shared_terms():
        if history[f"energy/{term}/real"]:
            continue
        losses = history[f"discriminator/{term}"]
        if len(losses) >= SUSTAINED_LINES and min(losses) >= 0 and max(losses[-SUSTAINED_LINES:]) < 0.02:
            return f"discriminator/{term} has been below 0.02 for {SUSTAINED_LINES} log lines and is {losses[-1]:.2g}"
    return ""


def generator_falls_behind(history: LogHistory) -> str:
    """The discriminator makes no errors, and the gap between its scores of real and generated outputs grows."""
    errors = history.newest("health/error", 2 * SUSTAINED_DIAGNOSES)
    gaps = history.newest("health/gap", 2 * SUSTAINED_DIAGNOSES)
    if not errors or max(errors) > 0:
        return ""
    first, second = median(gaps[:SUSTAINED_DIAGNOSES]), median(gaps[SUSTAINED_DIAGNOSES:])
    if second > 1.5 * first and min(gaps[SUSTAINED_DIAGNOSES:]) > max(gaps[:SUSTAINED_DIAGNOSES]):
        return f"the discriminator takes no output for real, and its score gap grew from {first:.3g} to {second:.3g}"
    return ""


def noise_ignored(history: LogHistory) -> str:
    """Outputs for the same item differ by far less than their error; calibrated outputs differ by about as much."""
    noise = history.newest("health/noise", STARTUP_DIAGNOSES)
    if noise and max(noise) < 0.1 and not mode_collapse(history):
        return f"outputs for one item with different latents differ by {noise[-1]:.2g} of their error"
    return ""


def discriminator_memorises(history: LogHistory) -> str:
    """The discriminator scores held-out items more like fakes than like training items."""
    memorised = history.newest("health/memorised")
    if memorised and min(memorised) > 0.5:
        return f"held-out items score {memorised[-1]:.0%} of the way from training items to fakes"
    return ""


def vanishing_gradients(history: LogHistory) -> str:
    """A gradient norm stays below a hundredth of its first values, or below Adam's epsilon of 1e-8."""
    for name in _gradient_names(history):
        first, norms = history[name][:SUSTAINED_LINES], history[name][SUSTAINED_LINES:][-SUSTAINED_LINES:]
        if len(norms) == SUSTAINED_LINES and max(norms) < max(0.01 * median(first), 1e-8):
            return f"{name} fell from {median(first):.2g} to {norms[-1]:.2g} for {SUSTAINED_LINES} log lines"
    return ""


def exploding_gradients(history: LogHistory) -> str:
    """A gradient norm exceeds a hundred times its first values."""
    for name in _gradient_names(history):
        first, norms = history[name][:SUSTAINED_LINES], history[name][SUSTAINED_LINES:][-3:]
        if len(norms) == 3 and min(norms) > max(100 * median(first), 1.0):
            return f"{name} rose from {median(first):.3g} to {norms[-1]:.3g}"
    return ""


def _gradient_names(history: LogHistory) -> list[str]:
    return [name for name in history.series if name.startswith("gradient/")]


REMEDIES: dict[Callable[[LogHistory], str], str] = {
    mode_collapse: "a lower generator_lr, gradient penalties, larger batches, or resuming from an earlier checkpoint",
    coverage_falls: "stopping at the best EMA weights, which are in best/; lower learning rates, or gradient penalties",
    loss_oscillates: "lower learning rates, beta1 0, a higher ema_decay, or gradient penalties",
    discriminator_wins: "gradient penalties, instance noise or augmentation, or a lower discriminator_lr",
    generator_falls_behind: "gradient penalties, fewer discriminator_steps, or a lower discriminator_lr",
    noise_ignored: "a higher adversarial_weight relative to the reconstruction, and more reconstruction_samples",
    discriminator_memorises: "augmentation of the discriminator's input, dropout in it, more data, or stopping",
    vanishing_gradients: "an adversarial loss other than minimax, gradient penalties, or a weaker discriminator",
    exploding_gradients: "max_grad_norm, lower learning rates, longer warmup_steps, or gradient penalties",
}
"""The rules, and what usually helps against the condition of each."""


class AlarmMonitor:
    """Reads the log line by line. Its state depends only on those lines, so a resumed run restores it by a replay."""

    def __init__(self) -> None:
        self.history = LogHistory()
        self.line_count = 0
        self.last_fired: dict[str, int] = {}

    def observe(self, values: Mapping[str, float | int]) -> list[Alarm]:
        """The alarms that this line raises; a condition raises one alarm however long it lasts."""
        self.history.add(values)
        self.line_count += 1
        alarms = []
        for rule, advice in REMEDIES.items():
            if evidence := rule(self.history):
                if self.line_count - self.last_fired.get(rule.__name__, -REARM_LINES) >= REARM_LINES:
                    alarms.append(Alarm(rule.__name__, evidence, advice))
                self.last_fired[rule.__name__] = self.line_count
        return alarms


@torch.no_grad()
def find_non_finite(network: nn.Module) -> str:
    """The name of the first weight or buffer that is not finite; "" if all are."""
    numbers = {name: value for name, value in network.state_dict().items() if value.is_floating_point()}
    if not numbers:
        return ""
    finite = torch.stack([value.isfinite().all() for value in numbers.values()]).tolist()  # one wait for the device
    return next((name for name, is_finite in zip(numbers, finite, strict=True) if not is_finite), "")
