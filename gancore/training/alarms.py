"""Health of a training: named alarms, raised from what its log holds, each with what it saw and what usually helps."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median, quantiles

import torch
from torch import nn

SUSTAINED_LINES = 20
"""Lines of the log that a state of the losses must last to be one."""
SUSTAINED_DIAGNOSES = 4
"""Looks at the vital signs that a state of them must last."""
STARTUP_DIAGNOSES = 8
"""Looks that one must last from which many networks start."""
REARM_LINES = 50
"""Lines of the log that an alarm must have been silent for to be raised again."""
MAX_HISTORY = 1000
"""Values of each name that are remembered."""
OSCILLATION_WINDOW = 60
"""Lines of the log in which a loss that hops is looked for."""


@dataclass(frozen=True)
class Alarm:
    """Something that goes wrong."""

    name: str
    evidence: str
    advice: str

    def __str__(self) -> str:
        return f"{self.name.replace('_', ' ')}: {self.evidence}. What usually helps: {self.advice}"


class LogHistory:
    """All that was logged, by name."""

    def __init__(self) -> None:
        self.series: defaultdict[str, list[float]] = defaultdict(list)

    def add(self, values: Mapping[str, float | int]) -> None:
        """Keeps the values of a line; a player who gets a new term has other gradients than before."""
        for name, value in values.items():
            player = name.partition("/")[0]
            if name not in self.series and f"gradient/{player}" in self.series:
                self.series[f"gradient/{player}"].clear()
            self.series[name] = [*self.series[name][1 - MAX_HISTORY :], value]

    def __getitem__(self, name: str) -> Sequence[float]:
        return self.series.get(name, ())

    def newest(self, name: str, count: int = SUSTAINED_DIAGNOSES) -> Sequence[float]:
        """The newest values, none if there are fewer."""
        values = self[name]
        return values[-count:] if len(values) >= count else ()

    def shared_terms(self) -> list[str]:
        """The terms that both players have: what they play against each other."""
        terms = [name.removeprefix("discriminator/") for name in self.series if name.startswith("discriminator/")]
        return [term for term in terms if f"generator/{term}" in self.series]


# ------------------------------------------------------- what is seen, in words; nothing where it is not to be seen


def mode_collapse(history: LogHistory) -> str:
    """Outputs that hardly differ, whatever the generator is given."""
    diversity = history.newest("health/diversity", STARTUP_DIAGNOSES)
    if diversity and max(diversity) < 0.1:
        return f"whatever goes in, outputs differ by {diversity[-1]:.2g} of what true ones do"
    return ""


def coverage_falls(history: LogHistory) -> str:
    """Fewer than half as many true outputs with a made one near them as there once were."""
    coverage = history["health/coverage"]
    smooth = [
        median(coverage[end - SUSTAINED_DIAGNOSES : end]) for end in range(SUSTAINED_DIAGNOSES, len(coverage) + 1)
    ]
    if smooth and max(smooth) >= 0.3 and max(coverage[-SUSTAINED_DIAGNOSES:]) < max(smooth) / 2:
        return f"outputs lie near {smooth[-1]:.0%} of true ones, and did near {max(smooth):.0%}"
    return ""


def loss_oscillates(history: LogHistory) -> str:
    """A generator's loss that goes back and forth between levels far apart, as it runs from mode to mode."""
    for game in history.shared_terms():
        losses, rival = (
            history.newest(f"generator/{game}", OSCILLATION_WINDOW),
            history.newest(f"discriminator/{game}", OSCILLATION_WINDOW),
        )
        if losses and rival and min(rival) >= 0:
            # Where the generator's loss has no zero, the discriminator's says what is much.
            scale = median(losses) if min(losses) > 0 else median(rival)
            times, low, high = count_swings(losses)
            if times >= 3 and high - low > 0.4 * scale:
                return f"generator/{game} went {times} times between {low:.3g} and {high:.3g} in {OSCILLATION_WINDOW} lines of the log"
    return ""


def count_swings(losses: Sequence[float]) -> tuple[int, float, float]:
    """(How often a series goes from its lowest fifth to its highest or back, those two); 0 if that is but noise."""
    smooth = [median(losses[place : place + 3]) for place in range(len(losses) - 2)]
    low, *_, high = quantiles(smooth, n=5)
    usual = median(abs(b - a) for a, b in pairwise(losses))
    sides = [value > high for value in smooth if not low <= value <= high]
    return sum(a != b for a, b in pairwise(sides)) if high - low > 4.5 * usual else 0, low, high


def discriminator_wins(history: LogHistory) -> str:
    """A discriminator's loss at zero for long, in games where chance is between 0.5 and 2 and zero the least."""
    for game in history.shared_terms():
        losses = history[f"discriminator/{game}"]
        if len(losses) >= SUSTAINED_LINES and min(losses) >= 0 and max(losses[-SUSTAINED_LINES:]) < 0.02:
            return f"discriminator/{game} has been at {losses[-1]:.2g} for {SUSTAINED_LINES} lines of the log"
    return ""


def generator_falls_behind(history: LogHistory) -> str:
    """A discriminator without error, and scores ever further apart: the generator's loss climbs and climbs."""
    errors, gaps = (
        history.newest("health/error", 2 * SUSTAINED_DIAGNOSES),
        history.newest("health/gap", 2 * SUSTAINED_DIAGNOSES),
    )
    if not errors or max(errors) > 0:
        return ""
    first, second = median(gaps[:SUSTAINED_DIAGNOSES]), median(gaps[SUSTAINED_DIAGNOSES:])
    if second > 1.5 * first and min(gaps[SUSTAINED_DIAGNOSES:]) > max(gaps[:SUSTAINED_DIAGNOSES]):
        return f"no output is taken for real, and the scores' distance to real ones climbs: {first:.3g}, {second:.3g}"
    return ""


def noise_ignored(history: LogHistory) -> str:
    """Outputs of one item that hardly differ beside their error; with calibrated ones the two are alike."""
    noise = history.newest("health/noise", STARTUP_DIAGNOSES)
    if noise and max(noise) < 0.1 and not mode_collapse(history):
        return f"outputs of one item by different latents differ by {noise[-1]:.2g} of what they are wrong by"
    return ""


def discriminator_memorises(history: LogHistory) -> str:
    """Held-out items that the discriminator takes for fakes, rather than for what it trains on."""
    memorised = history.newest("health/memorised")
    if memorised and min(memorised) > 0.5:
        return f"held-out items score {memorised[-1]:.0%} of the way from training items to fakes"
    return ""


def vanishing_gradients(history: LogHistory) -> str:
    """A gradient at a hundredth of what it was for long, or below Adam's epsilon."""
    for name in _gradient_names(history):
        first, norms = history[name][:SUSTAINED_LINES], history[name][SUSTAINED_LINES:][-SUSTAINED_LINES:]
        if len(norms) == SUSTAINED_LINES and max(norms) < max(0.01 * median(first), 1e-8):
            return f"{name} has been at {norms[-1]:.2g} for {SUSTAINED_LINES} lines of the log, and was {median(first):.2g}"
    return ""


def exploding_gradients(history: LogHistory) -> str:
    """A gradient at a hundred times what it was at first."""
    for name in _gradient_names(history):
        first, norms = history[name][:SUSTAINED_LINES], history[name][SUSTAINED_LINES:][-3:]
        if len(norms) == 3 and min(norms) > max(100 * median(first), 1.0):
            return f"{name} is {norms[-1]:.3g}, and was {median(first):.3g}"
    return ""


def _gradient_names(history: LogHistory) -> list[str]:
    return [name for name in history.series if name.startswith("gradient/")]


REMEDIES: dict[Callable[[LogHistory], str], str] = {
    mode_collapse: "a lower generator_lr, gradient penalties, larger batches, or an earlier checkpoint to go on from",
    coverage_falls: "to stop at the best average, which is in best/; lower learning rates, or gradient penalties",
    loss_oscillates: "lower learning rates, beta1 0, a smoother average, or gradient penalties",
    discriminator_wins: "gradient penalties, instance noise or augmentation, or a lower discriminator_lr",
    generator_falls_behind: "gradient penalties, fewer discriminator_steps, or a lower discriminator_lr",
    noise_ignored: "more weight on the game beside the reconstruction, and the mean of several samples reconstructed",
    discriminator_memorises: "augmentation of what the discriminator sees, dropout in it, more data, or to stop",
    vanishing_gradients: "an adversarial loss other than minimax, gradient penalties, or a weaker discriminator",
    exploding_gradients: "max_grad_norm, lower learning rates, longer warmup_steps, or gradient penalties",
}
"""The alarms, and what usually helps."""


class AlarmMonitor:
    """Reads the log as it grows; the same lines raise the same alarms, so that a run that resumes reads them again."""

    def __init__(self) -> None:
        self.history = LogHistory()
        self.line_count = 0
        self.last_fired: dict[str, int] = {}

    def observe(self, values: Mapping[str, float | int]) -> list[Alarm]:
        """The alarms that this line raises; one that lasts is raised once."""
        self.history.add(values)
        self.line_count += 1
        alarms = []
        for rule, helps in REMEDIES.items():
            if saw := rule(self.history):
                if self.line_count - self.last_fired.get(rule.__name__, -REARM_LINES) >= REARM_LINES:
                    alarms.append(Alarm(rule.__name__, saw, helps))
                self.last_fired[rule.__name__] = self.line_count
        return alarms


@torch.no_grad()
def find_non_finite(network: nn.Module, *, gradients: bool = False) -> str:
    """The first of a network's weights and buffers, or of its weights' gradients, that is not finite; "" if all are."""
    tensors = network.state_dict(keep_vars=True).items()
    for name, tensor in tensors:
        value = tensor.grad if gradients else tensor
        if value is not None and value.is_floating_point() and not bool(value.isfinite().all()):
            return name
    return ""
