"""The clips of an evaluation as they are shown: in its report, and in pairs for people to choose from."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from gancore.report import sheet
from gancore.reporting.page import Gallery, Item, animation, picture
from gancore.reporting.preference import Pair, write_rating_page
from vidgan.evaluation import baselines
from vidgan.evaluation.config import EvaluateConfig
from vidgan.evaluation.methods import Trials, evenly
from vidgan.evaluation.scores import RANKED_BY, prefix
from vidgan.evaluation.synthesis import training
from vidgan.files.grid import grid
from vidgan.files.video import with_channels
from vidgan.validation import pictured

RATE = 8
"""Frames a second of the clips on a page."""
EDGE = 2
"""Pixels of the edge that tells what was made from what was given."""
MADE, GIVEN = (226, 117, 25), (150, 150, 150)
"""Colours of that edge."""
SAMPLES = 3
"""Of each entrant that are shown."""
PAST, FUTURE = 2, 7
"""Frames of a clip that are shown side by side."""
GRID = 4
"""Clips in a row and a column of a gallery of clips made from noise."""

Frames = Float[Tensor, "time channels height width"]
Shown = UInt8[Tensor, "time 3 _height _width"]


def galleries(report: Mapping[str, Any], trials: Trials, config: EvaluateConfig) -> Iterator[Gallery]:
    """The clips worth looking at; those are predicted or read again, as they were not kept."""
    with torch.inference_mode():
        yield from cases(report["cases"], trials) if trials.paired else made_clips(report, trials, config)


def cases(found: Mapping[str, Any], trials: Trials) -> Iterator[Gallery]:
    """Best, median and worst clips moving, then the median one frame by frame."""
    items = [
        Item(f"{kind}: {each['clip']}, {RANKED_BY.upper()} {each[RANKED_BY]:.3f}", moving(trials, each["number"]))
        for kind in ("best", "median", "worst")
        for each in found[kind]
    ]
    order = ", ".join(columns(trials, 0))
    yield Gallery(f"Best, median and worst by {found['of']}", items, note=f"From left to right: {order}.")
    middle = (found["median"] or found["best"])[0]
    rows = columns(trials, middle["number"])
    frames = [*range(max(0, trials.context - PAST), trials.context)]
    frames += [trials.context + each for each in evenly(trials.shape[0] - trials.context, FUTURE)]
    strip = sheet([shown[frames] for shown in rows.values()], labels=list(rows))
    told = f"{middle['clip']}, frames {', '.join(str(frame + 1) for frame in frames)}"
    yield Gallery("Frame by frame", [Item(told, picture(strip))], note="What has an orange edge was made.")


def columns(trials: Trials, number: int) -> dict[str, Shown]:
    """The true clip, then forecasts of it, framed in colour where they were made."""
    batch, made = trials.batch(range(number, number + 1))
    past, steps = batch.past, batch.future.shape[1]
    found = {"true": framed(batch.frames[0], made_from=len(batch.frames[0]))}
    for entrant, futures in made.items():
        several = futures.shape[1] > 1
        for sample, future in enumerate(futures[0, :SAMPLES], 1):
            name = f"{prefix(entrant, made)}sample {sample}" if several else f"{prefix(entrant, made)}prediction"
            found[name] = framed(torch.cat([past[0], future]), made_from=batch.context)
        if several:
            mean = torch.cat([past[0], futures[0].mean(0)])
            found[f"{prefix(entrant, made)}mean of samples"] = framed(mean, made_from=batch.context)
    if batch.context > 1:
        carried = baselines.advected(past, steps)[0]
        found["optical flow"] = framed(torch.cat([past[0], carried]), made_from=batch.context)
    return found


def framed(clip: Frames, *, made_from: int) -> Shown:
    """The clip in colours, with an edge that says from which frame on it was made."""
    inside = with_channels(pictured(clip), 3)
    edge = torch.tensor([GIVEN] * made_from + [MADE] * (len(clip) - made_from), dtype=torch.uint8)
    whole = F.pad(inside, (EDGE,) * 4)
    canvas = edge[:, :, None, None].expand_as(whole).clone()
    canvas[..., EDGE:-EDGE, EDGE:-EDGE] = inside
    return canvas


def moving(trials: Trials, number: int) -> str:
    """The true clip and forecasts of it side by side, as a data URI."""
    shown = torch.stack(list(columns(trials, number).values()))
    return animation(grid(shown, columns=len(shown)), rate=RATE)


def made_clips(report: Mapping[str, Any], trials: Trials, config: EvaluateConfig) -> Iterator[Gallery]:
    """Made clips beside true ones, and those nearest to a known clip beside it."""
    numbers = evenly(len(trials), GRID * GRID)
    batches = [trials.batch(range(number, number + 1)) for number in numbers]
    true = torch.stack([plain(batch.frames[0]) for batch, _ in batches])
    made = torch.stack([plain(next(iter(found.values()))[0, 0]) for _, found in batches])
    items = [
        Item(name, animation(grid(clips, columns=GRID), rate=RATE)) for name, clips in (("made", made), ("true", true))
    ]
    yield Gallery("Made and true clips", items)
    if found := report.get("neighbours"):
        reference = training(config, trials) if found["among"] != "true" else trials
        assert reference is not None
        yield Gallery(
            "Nearest neighbours",
            [_beside(trials, reference, **each) for each in found["closest"]],
            note=f"Made clips on the left, the nearest {found['among']} clip on the right, by {found['network']}.",
        )


def _beside(trials: Trials, reference: Trials, *, sample: int, neighbour: int, distance: float) -> Item:
    _, made = trials.batch(range(sample, sample + 1))
    batch, _ = reference.batch(range(neighbour, neighbour + 1))
    both = torch.stack([plain(next(iter(made.values()))[0, 0]), plain(batch.frames[0])])
    return Item(f"sample {sample}, distance {distance:.3g}", animation(grid(both, columns=2), rate=RATE))


def plain(clip: Frames) -> Shown:
    """The clip in colours."""
    return with_channels(pictured(clip), 3)


# -------------------------------------------------------------------------------------------------------------- rating


@torch.inference_mode()
def write_ratings(trials: Trials, config: EvaluateConfig) -> str:
    """Writes a page of blind pairs: of two entrants, or of made clips and true ones. Gives where its key lies."""
    pairs = [pair(trials, number) for number in evenly(len(trials), config.pairs)]
    question = "Which of the two clips looks more real?"
    return str(write_rating_page(config.rate, pairs, question=question, seed=config.seed))


def pair(trials: Trials, number: int) -> Pair:
    """Two clips of equal length: with the same past where there is one."""
    batch, made = trials.batch(range(number, number + 1))
    sides = {name: torch.cat([batch.past[0], futures[0, 0]]) for name, futures in made.items()}
    if len(sides) == 1:
        sides = {"true": batch.frames[0], **sides}
    a, b = (Item(name, animation(plain(clip), rate=RATE)) for name, clip in sides.items())
    return Pair(trials.name(number), a, b)
