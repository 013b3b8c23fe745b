"""Health of a training: named alarms, raised from what its log holds, each with what it saw and what usually helps."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median, quantiles

import torch
from torch import nn

LONG = 20
"""Lines of the log that a state of the losses must last to be one."""
OFTEN = 4
"""Looks at the vital signs that a state of them must last."""
START = 8
"""Looks that one must last from which many networks start."""
SILENCE = 50
"""Lines of the log that an alarm must have been silent for to be raised again."""
KEPT = 1000
"""Values of each name that are remembered."""
WINDOW = 60
"""Lines of the log in which a loss that hops is looked for."""


@dataclass(frozen=True)
class Alarm:
    """Something that goes wrong."""

    name: str
    saw: str
    helps: str

    def __str__(self) -> str:
        return f"{self.name.replace('_', ' ')}: {self.saw}. What usually helps: {self.helps}"


class History:
    """All that was logged, by name."""

    def __init__(self) -> None:
        self.series: defaultdict[str, list[float]] = defaultdict(list)

    def add(self, values: Mapping[str, float | int]) -> None:
        """Keeps the values of a line; a player who gets a new term has other gradients than before."""
        for name, value in values.items():
            player = name.partition("/")[0]
            if name not in self.series and f"gradient/{player}" in self.series:
                self.series[f"gradient/{player}"].clear()
            self.series[name] = [*self.series[name][1 - KEPT :], value]

    def __getitem__(self, name: str) -> Sequence[float]:
        return self.series.get(name, ())

    def last(self, name: str, count: int = OFTEN) -> Sequence[float]:
        """The newest values, none if there are fewer."""
        values = self[name]
        return values[-count:] if len(values) >= count else ()

    def games(self) -> list[str]:
        """The terms that both players have: what they play against each other."""
        terms = [name.removeprefix("discriminator/") for name in self.series if name.startswith("discriminator/")]
        return [term for term in terms if f"generator/{term}" in self.series]


# ------------------------------------------------------- what is seen, in words; nothing where it is not to be seen


def mode_collapse(history: History) -> str:
    """Outputs that hardly differ, whatever the generator is given."""
    diversity = history.last("health/diversity", START)
    if diversity and max(diversity) < 0.1:
        return f"whatever goes in, outputs differ by {diversity[-1]:.2g} of what true ones do"
    return ""


def coverage_falls(history: History) -> str:
    """Fewer than half as many true outputs with a made one near them as there once were."""
    coverage = history["health/coverage"]
    smooth = [median(coverage[end - OFTEN : end]) for end in range(OFTEN, len(coverage) + 1)]
    if smooth and max(smooth) >= 0.3 and max(coverage[-OFTEN:]) < max(smooth) / 2:
        return f"outputs lie near {smooth[-1]:.0%} of true ones, and did near {max(smooth):.0%}"
    return ""


def loss_hops(history: History) -> str:
    """A generator's loss that goes back and forth between levels far apart, as it runs from mode to mode."""
    for game in history.games():
        losses, rival = history.last(f"generator/{game}", WINDOW), history.last(f"discriminator/{game}", WINDOW)
        if losses and rival and min(rival) >= 0:
            # Where the generator's loss has no zero, the discriminator's says what is much.
            scale = median(losses) if min(losses) > 0 else median(rival)
            times, low, high = swings(losses)
            if times >= 3 and high - low > 0.4 * scale:
                return (
                    f"generator/{game} went {times} times between {low:.3g} and {high:.3g} in {WINDOW} lines of the log"
                )
    return ""


def swings(losses: Sequence[float]) -> tuple[int, float, float]:
    """(How often a series goes from its lowest fifth to its highest or back, those two); 0 if that is but noise."""
    smooth = [median(losses[place : place + 3]) for place in range(len(losses) - 2)]
    low, *_, high = quantiles(smooth, n=5)
    usual = median(abs(b - a) for a, b in pairwise(losses))
    sides = [value > high for value in smooth if not low <= value <= high]
    return sum(a != b for a, b in pairwise(sides)) if high - low > 4.5 * usual else 0, low, high


def discriminator_wins(history: History) -> str:
    """A discriminator's loss at zero for long, in games where chance is between 0.5 and 2 and zero the least."""
    for game in history.games():
        losses = history[f"discriminator/{game}"]
        if len(losses) >= LONG and min(losses) >= 0 and max(losses[-LONG:]) < 0.02:
            return f"discriminator/{game} has been at {losses[-1]:.2g} for {LONG} lines of the log"
    return ""


def generator_falls_behind(history: History) -> str:
    """A discriminator without error, and scores ever further apart: the generator's loss climbs and climbs."""
    errors, gaps = history.last("health/error", 2 * OFTEN), history.last("health/gap", 2 * OFTEN)
    if not errors or max(errors) > 0:
        return ""
    first, second = median(gaps[:OFTEN]), median(gaps[OFTEN:])
    if second > 1.5 * first and min(gaps[OFTEN:]) > max(gaps[:OFTEN]):
        return f"no output is taken for real, and the scores' distance to real ones climbs: {first:.3g}, {second:.3g}"
    return ""


def noise_ignored(history: History) -> str:
    """Outputs of one item that hardly differ beside their error; with calibrated ones the two are alike."""
    noise = history.last("health/noise", START)
    if noise and max(noise) < 0.1 and not mode_collapse(history):
        return f"outputs of one item by different latents differ by {noise[-1]:.2g} of what they are wrong by"
    return ""


def discriminator_memorises(history: History) -> str:
    """Held-out items that the discriminator takes for fakes, rather than for what it trains on."""
    memorised = history.last("health/memorised")
    if memorised and min(memorised) > 0.5:
        return f"held-out items score {memorised[-1]:.0%} of the way from training items to fakes"
    return ""


def gradients_vanish(history: History) -> str:
    """A gradient at a hundredth of what it was for long, or below Adam's epsilon."""
    for name in _gradients(history):
        first, norms = history[name][:LONG], history[name][LONG:][-LONG:]
        if len(norms) == LONG and max(norms) < max(0.01 * median(first), 1e-8):
            return f"{name} has been at {norms[-1]:.2g} for {LONG} lines of the log, and was {median(first):.2g}"
    return ""


def gradients_explode(history: History) -> str:
    """A gradient at a hundred times what it was at first."""
    for name in _gradients(history):
        first, norms = history[name][:LONG], history[name][LONG:][-3:]
        if len(norms) == 3 and min(norms) > max(100 * median(first), 1.0):
            return f"{name} is {norms[-1]:.3g}, and was {median(first):.3g}"
    return ""


def _gradients(history: History) -> list[str]:
    return [name for name in history.series if name.startswith("gradient/")]


HELPS: dict[Callable[[History], str], str] = {
    mode_collapse: "a lower generator_lr, gradient penalties, larger batches, or an earlier checkpoint to go on from",
    coverage_falls: "to stop at the best average, which is in best/; lower learning rates, or gradient penalties",
    loss_hops: "lower learning rates, beta1 0, a smoother average, or gradient penalties",
    discriminator_wins: "gradient penalties, instance noise or augmentation, or a lower discriminator_lr",
    generator_falls_behind: "gradient penalties, fewer discriminator_updates, or a lower discriminator_lr",
    noise_ignored: "more weight on the game beside the reconstruction, and the mean of several samples reconstructed",
    discriminator_memorises: "augmentation of what the discriminator sees, dropout in it, more data, or to stop",
    gradients_vanish: "another adversarial pair than minimax, gradient penalties, or a weaker discriminator",
    gradients_explode: "clip_gradients, lower learning rates, a longer warmup, or gradient penalties",
}
"""The alarms, and what usually helps."""


class Watch:
    """Reads the log as it grows; the same lines raise the same alarms, so that a run that resumes reads them again."""

    def __init__(self) -> None:
        self.history = History()
        self.lines = 0
        self.heard: dict[str, int] = {}

    def read(self, values: Mapping[str, float | int]) -> list[Alarm]:
        """The alarms that this line raises; one that lasts is raised once."""
        self.history.add(values)
        self.lines += 1
        alarms = []
        for rule, helps in HELPS.items():
            if saw := rule(self.history):
                if self.lines - self.heard.get(rule.__name__, -SILENCE) >= SILENCE:
                    alarms.append(Alarm(rule.__name__, saw, helps))
                self.heard[rule.__name__] = self.lines
        return alarms


@torch.no_grad()
def not_finite(network: nn.Module, *, gradients: bool = False) -> str:
    """The first of a network's weights and buffers, or of its weights' gradients, that is not finite; "" if all are."""
    tensors = network.state_dict(keep_vars=True).items()
    for name, tensor in tensors:
        value = tensor.grad if gradients else tensor
        if value is not None and value.is_floating_point() and not bool(value.isfinite().all()):
            return name
    return ""
