"""Named alarms for trainings that go wrong, raised from the log alone, each with evidence and advice."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median, quantiles

import torch
from torch import nn

SUSTAINED_LINES = 20
"""Consecutive log lines for which a loss condition must hold before it raises an alarm."""
SUSTAINED_DIAGNOSES = 4
"""Consecutive diagnostic checks for which a condition of their numbers must hold before it raises an alarm."""
STARTUP_DIAGNOSES = 8
"""The same, for conditions that untrained networks often show as well."""
REARM_LINES = 50
"""Log lines during which the condition of an alarm must not have held before it is raised again."""
MAX_HISTORY = 1000
"""Latest values of each name that are kept."""
OSCILLATION_WINDOW = 60
"""Log lines that are searched for an oscillating loss."""


@dataclass(frozen=True)
class Alarm:
    """A condition of the training that usually ends badly."""

    name: str
    """Name of the rule that raised it, with underscores."""
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
        """The newest `count` values; none if there are fewer."""
        values = self[name]
        return values[-count:] if len(values) >= count else ()

    def shared_terms(self) -> list[str]:
        """The loss terms that both players have, which are the adversarial ones."""
        terms = [name.removeprefix("discriminator/") for name in self.series if name.startswith("discriminator/")]
        return [term for term in terms if f"generator/{term}" in self.series]


# --------------------------------------------- rules: the evidence of a condition in words, "" where it does not hold


def mode_collapse(history: LogHistory) -> str:
    """The generator's outputs hardly differ, whatever its input."""
    diversity = history.newest("health/diversity", STARTUP_DIAGNOSES)
    if diversity and max(diversity) < 0.1:
        return f"the outputs for different inputs differ by {diversity[-1]:.2g} of what real ones do"
    return ""


def coverage_falls(history: LogHistory) -> str:
    """The fraction of real outputs with a generated one near them has halved since its best."""
    coverage = history["health/coverage"]
    smooth = [
        median(coverage[end - SUSTAINED_DIAGNOSES : end]) for end in range(SUSTAINED_DIAGNOSES, len(coverage) + 1)
    ]
    if smooth and max(smooth) >= 0.3 and max(coverage[-SUSTAINED_DIAGNOSES:]) < max(smooth) / 2:
        return f"generated outputs lie near {smooth[-1]:.0%} of the real ones, down from {max(smooth):.0%}"
    return ""


def loss_oscillates(history: LogHistory) -> str:
    """The generator's loss swings between distant levels, as when it moves from mode to mode."""
    for term in history.shared_terms():
        losses = history.newest(f"generator/{term}", OSCILLATION_WINDOW)
        rival = history.newest(f"discriminator/{term}", OSCILLATION_WINDOW)
        if losses and rival and min(rival) >= 0:
            # A generator's loss that may be negative has no scale of its own; the discriminator's has.
            scale = median(losses) if min(losses) > 0 else median(rival)
            swings, low, high = count_swings(losses)
            if swings >= 3 and high - low > 0.4 * scale:
                return (
                    f"generator/{term} swung {swings} times between {low:.3g} and {high:.3g} "
                    f"in {OSCILLATION_WINDOW} log lines"
                )
    return ""


def count_swings(losses: Sequence[float]) -> tuple[int, float, float]:
    """Swings of a series between its lowest and highest fifth, and the bounds of both; 0 swings for mere noise."""
    smooth = [median(losses[first : first + 3]) for first in range(len(losses) - 2)]
    low, *_, high = quantiles(smooth, n=5)
    typical_change = median(abs(b - a) for a, b in pairwise(losses))
    sides = [value > high for value in smooth if not low <= value <= high]
    return sum(a != b for a, b in pairwise(sides)) if high - low > 4.5 * typical_change else 0, low, high


def discriminator_wins(history: LogHistory) -> str:
    """The discriminator's loss stays near zero, for losses with a minimum of 0 and a chance level of 0.5 to 2.

    A loss of energies has no such level.
    """
    for term in history.shared_terms():
        if history[f"energy/{term}/real"]:
            continue
        losses = history[f"discriminator/{term}"]
        if len(losses) >= SUSTAINED_LINES and min(losses) >= 0 and max(losses[-SUSTAINED_LINES:]) < 0.02:
            return f"discriminator/{term} has been below 0.02 for {SUSTAINED_LINES} log lines and is {losses[-1]:.2g}"
    return ""


def generator_falls_behind(history: LogHistory) -> str:
    """The discriminator makes no error, and the gap between real and generated outputs in its scores grows."""
    errors = history.newest("health/error", 2 * SUSTAINED_DIAGNOSES)
    gaps = history.newest("health/gap", 2 * SUSTAINED_DIAGNOSES)
    if not errors or max(errors) > 0:
        return ""
    first, second = median(gaps[:SUSTAINED_DIAGNOSES]), median(gaps[SUSTAINED_DIAGNOSES:])
    if second > 1.5 * first and min(gaps[SUSTAINED_DIAGNOSES:]) > max(gaps[:SUSTAINED_DIAGNOSES]):
        return f"the discriminator takes no output for real, and its score gap grew from {first:.3g} to {second:.3g}"
    return ""


def noise_ignored(history: LogHistory) -> str:
    """Outputs for one item differ far less than they are wrong; for calibrated outputs the two are about equal."""
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
    """A gradient norm stays below a hundredth of its first values, or below Adam's epsilon."""
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
"""The rule of each alarm, and what usually helps."""


class AlarmMonitor:
    """Reads the log line by line; the same lines raise the same alarms, so a resumed run replays its log."""

    def __init__(self) -> None:
        self.history = LogHistory()
        self.line_count = 0
        self.last_fired: dict[str, int] = {}

    def observe(self, values: Mapping[str, float | int]) -> list[Alarm]:
        """The alarms that this line raises; a condition that lasts raises one alarm."""
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
    finite = torch.stack([value.isfinite().all() for value in numbers.values()]).tolist()  # all are read at once
    return next((name for name, whole in zip(numbers, finite, strict=True) if not whole), "")
