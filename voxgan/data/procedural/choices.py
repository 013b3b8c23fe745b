"""What a program chooses, by name: each choice depends on the kind, the seed and its name alone."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TypeVar

import numpy as np

from gancore.rng import derive_seed

Number = int | float
"""A length in metres, an angle in degrees, a fraction or a weight."""
Value = str | int | float | bool
"""A parameter: an option, a count, a length in metres or an angle in degrees, or whether something is there."""
Kept = TypeVar("Kept", str, int, float, bool)
NOTHING: Mapping[str, Value] = MappingProxyType({})
"""No parameters."""


def choose_weighted(share: Number, weights: Mapping[str, Number]) -> str:
    """The option at this share, in [0, 1), of the sum of all weights."""
    possible = [option for option, weight in weights.items() if weight > 0]
    ends = np.cumsum([weights[option] for option in possible])
    return possible[min(int(np.searchsorted(ends, share * ends[-1], side="right")), len(possible) - 1)]


class Choices:
    """The parameters of one object, each drawn when its program asks for it, unless it is given.

    A choice has no effect on any other, and none on those of later versions of the program.
    """

    def __init__(self, kind: str, seed: int, given: Mapping[str, Value] = NOTHING):
        self.kind, self.seed, self.given = kind, seed, given
        self.made: dict[str, Value] = {}
        """What was chosen so far, by name."""

    def number(self, name: str, low: Number, high: Number) -> float:
        """A number in [low, high]: a length in metres, rounded to a tenth of a millimetre, or an angle in degrees."""
        if (given := self.given.get(name)) is not None:
            if isinstance(given, bool) or not isinstance(given, int | float) or not low <= given <= high:
                raise ValueError(f"{name} of {self.kind} must lie in [{low:g}, {high:g}], got {given}")
            return self._keep(name, float(given))
        return self._keep(name, round(low + (high - low) * self._share(name), 4))

    def count(self, name: str, low: int, high: int) -> int:
        """A whole number in [low, high]."""
        if (given := self.given.get(name)) is not None:
            if type(given) is not int or not low <= given <= high:
                raise ValueError(f"{name} of {self.kind} must be a whole number in [{low}, {high}], got {given}")
            return self._keep(name, given)
        return self._keep(name, low + int(self._share(name) * (high - low + 1)))

    def chance(self, name: str, probability: Number) -> bool:
        """Whether something is there, with this probability."""
        if (given := self.given.get(name)) is not None:
            if type(given) is not bool:
                raise ValueError(f"{name} of {self.kind} must be true or false, got {given}")
            return self._keep(name, given)
        return self._keep(name, self._share(name) < probability)

    def pick(self, name: str, options: Mapping[str, Number] | Sequence[str]) -> str:
        """One of the options, which have weights or are equally probable."""
        weights = options if isinstance(options, Mapping) else dict.fromkeys(options, 1.0)
        if (given := self.given.get(name)) is not None:
            if given not in weights:
                raise ValueError(f"{name} of {self.kind} must be one of {', '.join(weights)}, got {given}")
            return self._keep(name, str(given))
        return self._keep(name, choose_weighted(self._share(name), weights))

    def seed_of(self, name: str) -> int:
        """A seed for what has no parameters of its own, such as the grain of a wood."""
        return derive_seed(self.seed, *(int.from_bytes(text.encode()) for text in (self.kind, name)))

    def noise(self, name: str, amount: Number) -> float:
        """A number in [-amount, amount] that is no parameter."""
        return amount * (2 * self._share(name) - 1)

    def require_use(self) -> None:
        """Raises ValueError if a parameter was given that the program did not ask for."""
        if unknown := sorted(set(self.given) - set(self.made)):
            raise ValueError(f"{self.kind} {self.seed} has no {', '.join(unknown)}; it has {', '.join(self.made)}")

    def _share(self, name: str) -> float:
        """A number in [0, 1)."""
        return (self.seed_of(name) >> 10) / 2**53

    def _keep(self, name: str, value: Kept) -> Kept:
        self.made[name] = value
        return value
