"""Woods, paints, fabrics, leathers, metals, stones and glass: a name, a colour, and a texture that repeats."""

import colorsys
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
from jaxtyping import Float, UInt8

from voxgan.data.procedural.choices import Choices, Number

Colour = tuple[int, int, int]
"""RGB in sRGB, 0 to 255."""
Pattern = Literal["plain", "grain", "weave", "stripes", "checks", "dots", "mottled", "veins", "cane"]

TEXELS = 96
"""Texels along each side of a texture."""

WOODS: dict[str, Colour] = {
    "oak": (186, 146, 96),
    "light oak": (212, 180, 132),
    "beech": (216, 172, 122),
    "birch": (228, 204, 164),
    "pine": (222, 178, 112),
    "maple": (226, 192, 146),
    "ash": (208, 188, 156),
    "teak": (166, 106, 58),
    "cherry": (158, 82, 48),
    "mahogany": (112, 48, 32),
    "walnut": (104, 68, 44),
    "dark oak": (92, 62, 38),
    "wenge": (58, 42, 34),
    "bamboo": (214, 186, 122),
}
"""The mean colours of woods."""
PAINTS: dict[str, Colour] = {
    "white": (236, 235, 230),
    "cream": (232, 222, 198),
    "light grey": (190, 190, 188),
    "grey": (132, 134, 136),
    "black": (34, 33, 34),
    "red": (176, 42, 36),
    "orange": (224, 112, 34),
    "yellow": (236, 192, 44),
    "green": (52, 122, 66),
    "lime": (142, 190, 58),
    "turquoise": (58, 160, 160),
    "blue": (40, 84, 160),
    "light blue": (142, 182, 212),
    "pink": (222, 142, 160),
}
"""Colours of lacquer and of plastic."""
FABRICS: dict[str, Colour] = {
    "white": (228, 226, 220),
    "beige": (206, 190, 162),
    "sand": (184, 160, 124),
    "light grey": (176, 176, 174),
    "grey": (122, 122, 124),
    "charcoal": (64, 64, 68),
    "black": (36, 35, 37),
    "brown": (108, 74, 52),
    "burgundy": (108, 30, 42),
    "red": (170, 44, 40),
    "orange": (206, 110, 46),
    "mustard": (198, 152, 50),
    "olive": (116, 116, 60),
    "green": (66, 112, 78),
    "teal": (44, 108, 116),
    "blue": (58, 92, 148),
    "navy": (34, 46, 84),
    "light blue": (148, 178, 202),
    "purple": (104, 70, 118),
    "pink": (210, 148, 154),
}
"""Colours of fabrics."""
LEATHERS: dict[str, Colour] = {
    "black": (36, 33, 32),
    "brown": (98, 58, 38),
    "tan": (168, 108, 64),
    "cream": (222, 210, 186),
    "white": (230, 228, 222),
    "red": (140, 34, 30),
    "green": (44, 70, 54),
}
"""Colours of leather."""
METALS: dict[str, Colour] = {
    "chrome": (196, 199, 204),
    "steel": (158, 162, 166),
    "aluminium": (182, 184, 186),
    "black steel": (38, 38, 40),
    "white steel": (230, 230, 228),
    "brass": (182, 144, 74),
    "bronze": (110, 82, 52),
    "grey steel": (104, 108, 112),
}
"""Colours of metals under an even light."""
STONES: dict[str, Colour] = {
    "white marble": (226, 224, 220),
    "black marble": (48, 48, 52),
    "granite": (138, 134, 130),
    "concrete": (160, 158, 152),
    "sandstone": (206, 186, 150),
}
"""Colours of stones."""


@dataclass(frozen=True)
class Material:
    """What a part is made of, as it looks."""

    name: str
    """As a sentence has it: "walnut", "red fabric", "black steel"."""
    colour: Colour
    pattern: Pattern = "plain"
    second: Colour = (255, 255, 255)
    """The other colour of stripes, checks, dots, veins and cane."""
    tile: Number = 0.5
    """Side in metres of what the texture shows before it repeats."""
    seed: int = 0
    contrast: Number = 0.1
    """Standard deviation of the brightness of grain, weave and mottled surfaces."""

    def texture(self) -> UInt8[np.ndarray, "texels texels 4"]:
        """The texture, one texel if the material is plain; along its rows runs the grain."""
        if self.pattern == "plain":
            return np.array([[[*self.colour, 255]]], np.uint8)
        random = np.random.default_rng(self.seed)
        second = np.zeros((TEXELS, TEXELS))
        brightness = self.contrast * PATTERN_NOISE.get(self.pattern, _weave)(random)
        row, column = np.indices((TEXELS, TEXELS)) / TEXELS
        repeats = int(random.integers(2, 7))
        if self.pattern == "stripes":
            share, twins = random.uniform(0.2, 0.6), random.random() < 0.4
            phase = row * repeats % 1
            second = (phase < share) & ~(twins & (abs(phase - share / 2) < share / 6))
        elif self.pattern == "checks":
            share = random.uniform(0.3, 0.5)
            second = ((row * repeats % 1 < share) + 0.0 + (column * repeats % 1 < share)) / 2
        elif self.pattern == "dots":
            shift = np.floor(row * repeats) % 2 / 2
            second = np.hypot(row * repeats % 1 - 0.5, (column * repeats + shift) % 1 - 0.5) < random.uniform(
                0.15, 0.35
            )
        elif self.pattern == "veins":
            second = np.exp(-((_fractal(random, falloff=1.6) / 0.16) ** 2)) * random.uniform(0.3, 0.7)
        elif self.pattern == "cane":
            second = (row * 16 % 1 < 0.4) ^ (column * 16 % 1 < 0.4)
        mixed = self.colour + np.asarray(second, float)[..., None] * np.subtract(self.second, self.colour)
        shaded = (mixed * (1 + brightness[..., None])).clip(0, 255).round()
        return np.concatenate([shaded, np.full((TEXELS, TEXELS, 1), 255)], -1).astype(np.uint8)


# ------------------------------------------------------------------------------------------------------------- choices


def choose_wood(choices: Choices, name: str = "wood") -> Material:
    """A natural wood, or in one of four a painted one."""
    if choices.chance(f"{name} painted", 0.25):
        paint = choose_paint(choices, f"{name} paint", neutral=0.75)
        return Material(f"{paint.name} wood", paint.colour)
    kind = choices.pick(name, list(WOODS))
    colour = _vary(choices, name, WOODS[kind])
    contrast = 0.03 + abs(choices.noise(f"{name} contrast", 0.06))
    return Material(kind, colour, "grain", tile=0.6, seed=choices.seed_of(name), contrast=contrast)


def choose_paint(choices: Choices, name: str = "paint", *, neutral: Number = 0.5) -> Material:
    """A colour of lacquer or plastic; `neutral` is the probability of white, cream, grey and black."""
    greys = ("white", "cream", "light grey", "grey", "black")
    weights = {
        paint: neutral / len(greys) if paint in greys else (1 - neutral) / (len(PAINTS) - len(greys))
        for paint in PAINTS
    }
    kind = choices.pick(name, weights)
    return Material(kind, _vary(choices, name, PAINTS[kind]))


def choose_plastic(choices: Choices, name: str = "plastic") -> Material:
    """A plastic of one colour."""
    paint = choose_paint(choices, name)
    return Material(f"{paint.name} plastic", paint.colour)


def choose_metal(choices: Choices, name: str = "metal") -> Material:
    """A bare or coated metal."""
    kind = choices.pick(name, list(METALS))
    return Material(kind, _vary(choices, name, METALS[kind], amount=8))


def choose_stone(choices: Choices, name: str = "stone") -> Material:
    """A marble, granite, concrete or sandstone."""
    kind = choices.pick(name, list(STONES))
    pattern: Pattern = "veins" if "marble" in kind else "mottled"
    second = (120, 118, 116) if kind == "white marble" else (190, 188, 184)
    colour = _vary(choices, name, STONES[kind])
    return Material(kind, colour, pattern, second, tile=0.8, seed=choices.seed_of(name))


def choose_upholstery(choices: Choices, name: str = "upholstery") -> Material:
    """A leather, or a fabric that is plain, woven, striped, checked or dotted."""
    seed = choices.seed_of(name)
    if choices.chance(f"{name} leather", 0.25):
        kind = choices.pick(f"{name} leather colour", list(LEATHERS))
        colour = _vary(choices, name, LEATHERS[kind])
        return Material(f"{kind} leather", colour, "mottled", tile=0.4, seed=seed, contrast=0.035)
    kind = choices.pick(f"{name} colour", list(FABRICS))
    weights = {"weave": 6.0, "mottled": 2.0, "stripes": 1.0, "checks": 0.6, "dots": 0.4}
    pattern = cast(Pattern, choices.pick(f"{name} pattern", weights))
    worded = {"stripes": "striped ", "checks": "checked ", "dots": "dotted "}.get(pattern, "")
    second = FABRICS[choices.pick(f"{name} second colour", list(FABRICS))]
    colour = _vary(choices, name, FABRICS[kind])
    return Material(f"{worded}{kind} fabric", colour, pattern, second, tile=0.45, seed=seed, contrast=0.04)


GLASS = Material("glass", (176, 200, 204))
"""A pane, which the renderer shows as opaque."""
MIRROR = Material("mirror", (200, 208, 214))
"""A mirror without anything in it."""
CANE = Material("cane", (206, 176, 124), "cane", (150, 116, 70), tile=0.3)
"""Woven rattan."""
LINEN = Material("white linen", (236, 234, 228), "mottled", tile=0.8, contrast=0.03)
"""Sheets and mattresses."""
RUBBER = Material("black rubber", (30, 30, 32))
"""Wheels and feet."""


def _vary(choices: Choices, name: str, colour: Colour, *, amount: Number = 14) -> Colour:
    """The colour, a little lighter or darker and of another saturation."""
    hue, lightness, saturation = colorsys.rgb_to_hls(*(channel / 255 for channel in colour))
    lightness = min(max(lightness + choices.noise(f"{name} lightness", amount) / 255, 0.06), 0.94)
    saturation = min(max(saturation * (1 + choices.noise(f"{name} saturation", 0.25)), 0), 1)
    hue = hue + choices.noise(f"{name} hue", 0.015)
    red, green, blue = (round(channel * 255) for channel in colorsys.hls_to_rgb(hue % 1, lightness, saturation))
    return red, green, blue


# ------------------------------------------------------------------------------------------------------------ patterns


def _fractal(
    random: np.random.Generator, *, falloff: Number, stretch: Number = 1.0
) -> Float[np.ndarray, "rows columns"]:
    """Noise of mean 0 and standard deviation 1 that repeats; `stretch` lengthens it along the rows."""
    rows, columns = np.fft.fftfreq(TEXELS)[:, None] * TEXELS, np.fft.rfftfreq(TEXELS) * TEXELS
    frequency = np.hypot(rows, columns * stretch)
    frequency[0, 0] = np.inf
    strength = frequency**-falloff
    spectrum = strength * np.exp(2j * np.pi * random.random(strength.shape))
    noise = np.fft.irfft2(spectrum, (TEXELS, TEXELS))
    return noise / noise.std()


def _grain(random: np.random.Generator) -> Float[np.ndarray, "rows columns"]:
    """Long fibres, and the waves of the year rings that were cut."""
    bent = np.arange(TEXELS)[:, None] / TEXELS * int(random.integers(3, 9)) + 0.25 * _fractal(
        random, falloff=2.2, stretch=5
    )
    return 0.7 * _fractal(random, falloff=0.8, stretch=14) + 0.8 * np.sin(2 * np.pi * bent)


def _weave(random: np.random.Generator) -> Float[np.ndarray, "rows columns"]:
    """Fine threads that go over and under each other."""
    threads = (np.indices((TEXELS, TEXELS)).sum(0) % 2) * 2 - 1
    return 0.5 * threads + 0.8 * _fractal(random, falloff=0.5)


def _mottled(random: np.random.Generator) -> Float[np.ndarray, "rows columns"]:
    """Soft clouds."""
    return _fractal(random, falloff=1.2)


PATTERN_NOISE = {"grain": _grain, "mottled": _mottled, "veins": _mottled}
"""The variation of brightness of each pattern; that of the others is a weave."""
