"""The clips of an evaluation as they are shown: in its report, and in pairs for people to choose from."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from gancore.reporting.contact_sheet import make_contact_sheet
from gancore.reporting.page import Gallery, Media, encode_png_uri, encode_webp_uri
from gancore.reporting.preference import PreferencePair, write_rating_page
from vidgan.evaluation import baselines
from vidgan.evaluation.config import EvaluateConfig
from vidgan.evaluation.methods import EvaluationSet, spaced_indices
from vidgan.evaluation.scores import RANKING_METRIC, method_prefix
from vidgan.evaluation.synthesis import open_training_set
from vidgan.files.grid import tile_clips
from vidgan.frames import convert_channels
from vidgan.validation import to_displayable

PAGE_FRAME_RATE = 8
"""Frames a second of the clips on a page."""
BORDER = 2
"""Pixels of the edge that tells what was made from what was given."""
GENERATED_COLOUR, CONTEXT_COLOUR = (226, 117, 25), (150, 150, 150)
"""Colours of that edge."""
SAMPLES_SHOWN = 3
"""Of each entrant that are shown."""
PAST_FRAMES_SHOWN, FUTURE_FRAMES_SHOWN = 2, 7
"""Frames of a clip that are shown side by side."""
GRID_SIDE = 4
"""Clips in a row and a column of a gallery of clips made from noise."""

Frames = Float[Tensor, "time channels height width"]
RGBClip = UInt8[Tensor, "time 3 _height _width"]


def build_galleries(report: Mapping[str, Any], trials: EvaluationSet, config: EvaluateConfig) -> Iterator[Gallery]:
    """The clips worth looking at; those are predicted or read again, as they were not kept."""
    with torch.inference_mode():
        yield from (
            build_example_galleries(report["cases"], trials)
            if trials.paired
            else build_synthesis_galleries(report, trials, config)
        )


def build_example_galleries(found: Mapping[str, Any], trials: EvaluationSet) -> Iterator[Gallery]:
    """Best, median and worst clips moving, then the median one frame by frame."""
    items = [
        Media(
            f"{kind}: {each['clip']}, {RANKING_METRIC.upper()} {each[RANKING_METRIC]:.3f}",
            animate_columns(trials, each["number"]),
        )
        for kind in ("best", "median", "worst")
        for each in found[kind]
    ]
    order = ", ".join(build_columns(trials, 0))
    yield Gallery(f"Best, median and worst by {found['of']}", items, note=f"From left to right: {order}.")
    middle = (found["median"] or found["best"])[0]
    rows = build_columns(trials, middle["number"])
    frames = [*range(max(0, trials.context_frames - PAST_FRAMES_SHOWN), trials.context_frames)]
    frames += [
        trials.context_frames + each
        for each in spaced_indices(trials.clip_shape[0] - trials.context_frames, FUTURE_FRAMES_SHOWN)
    ]
    strip = make_contact_sheet([shown[frames] for shown in rows.values()], labels=list(rows))
    told = f"{middle['clip']}, frames {', '.join(str(frame + 1) for frame in frames)}"
    yield Gallery("Frame by frame", [Media(told, encode_png_uri(strip))], note="What has an orange edge was made.")


def build_columns(trials: EvaluationSet, number: int) -> dict[str, RGBClip]:
    """The true clip, then forecasts of it, framed in colour where they were made."""
    batch, made = trials.load_batch(range(number, number + 1))
    past, steps = batch.past, batch.future.shape[1]
    found = {"true": add_border(batch.frames[0], made_from=len(batch.frames[0]))}
    for entrant, futures in made.items():
        several = futures.shape[1] > 1
        for sample, future in enumerate(futures[0, :SAMPLES_SHOWN], 1):
            name = (
                f"{method_prefix(entrant, made)}sample {sample}"
                if several
                else f"{method_prefix(entrant, made)}prediction"
            )
            found[name] = add_border(torch.cat([past[0], future]), made_from=batch.context_frames)
        if several:
            mean = torch.cat([past[0], futures[0].mean(0)])
            found[f"{method_prefix(entrant, made)}mean of samples"] = add_border(mean, made_from=batch.context_frames)
    if batch.context_frames > 1:
        carried = baselines.extrapolate_flow(past, steps)[0]
        found["optical flow"] = add_border(torch.cat([past[0], carried]), made_from=batch.context_frames)
    return found


def add_border(clip: Frames, *, made_from: int) -> RGBClip:
    """The clip in colours, with an edge that says from which frame on it was made."""
    inside = convert_channels(to_displayable(clip), 3)
    edge = torch.tensor([CONTEXT_COLOUR] * made_from + [GENERATED_COLOUR] * (len(clip) - made_from), dtype=torch.uint8)
    whole = F.pad(inside, (BORDER,) * 4)
    canvas = edge[:, :, None, None].expand_as(whole).clone()
    canvas[..., BORDER:-BORDER, BORDER:-BORDER] = inside
    return canvas


def animate_columns(trials: EvaluationSet, number: int) -> str:
    """The true clip and forecasts of it side by side, as a data URI."""
    shown = torch.stack(list(build_columns(trials, number).values()))
    return encode_webp_uri(tile_clips(shown, columns=len(shown)), rate=PAGE_FRAME_RATE)


def build_synthesis_galleries(
    report: Mapping[str, Any], trials: EvaluationSet, config: EvaluateConfig
) -> Iterator[Gallery]:
    """Made clips beside true ones, and those nearest to a known clip beside it."""
    numbers = spaced_indices(len(trials), GRID_SIDE * GRID_SIDE)
    batches = [trials.load_batch(range(number, number + 1)) for number in numbers]
    true = torch.stack([to_rgb_clip(batch.frames[0]) for batch, _ in batches])
    made = torch.stack([to_rgb_clip(next(iter(found.values()))[0, 0]) for _, found in batches])
    items = [
        Media(name, encode_webp_uri(tile_clips(clips, columns=GRID_SIDE), rate=PAGE_FRAME_RATE))
        for name, clips in (("made", made), ("true", true))
    ]
    yield Gallery("Made and true clips", items)
    if found := report.get("neighbours"):
        reference = open_training_set(config, trials) if found["among"] != "true" else trials
        assert reference is not None
        yield Gallery(
            "Nearest neighbours",
            [_show_neighbour(trials, reference, **each) for each in found["closest"]],
            note=f"Made clips on the left, the nearest {found['among']} clip on the right, by {found['network']}.",
        )


def _show_neighbour(
    trials: EvaluationSet, reference: EvaluationSet, *, sample: int, neighbour: int, distance: float
) -> Media:
    _, made = trials.load_batch(range(sample, sample + 1))
    batch, _ = reference.load_batch(range(neighbour, neighbour + 1))
    both = torch.stack([to_rgb_clip(next(iter(made.values()))[0, 0]), to_rgb_clip(batch.frames[0])])
    return Media(
        f"sample {sample}, distance {distance:.3g}", encode_webp_uri(tile_clips(both, columns=2), rate=PAGE_FRAME_RATE)
    )


def to_rgb_clip(clip: Frames) -> RGBClip:
    """The clip in colours."""
    return convert_channels(to_displayable(clip), 3)


# -------------------------------------------------------------------------------------------------------------- rating


@torch.inference_mode()
def write_preference_pairs(trials: EvaluationSet, config: EvaluateConfig) -> str:
    """Writes a page of blind pairs: of two entrants, or of made clips and true ones. Gives where its key lies."""
    pairs = [build_pair(trials, number) for number in spaced_indices(len(trials), config.rating_pairs)]
    question = "Which of the two clips looks more real?"
    return str(write_rating_page(config.rating_page, pairs, question=question, seed=config.seed))


def build_pair(trials: EvaluationSet, number: int) -> PreferencePair:
    """Two clips of equal length: with the same past where there is one."""
    batch, made = trials.load_batch(range(number, number + 1))
    sides = {name: torch.cat([batch.past[0], futures[0, 0]]) for name, futures in made.items()}
    if len(sides) == 1:
        sides = {"true": batch.frames[0], **sides}
    a, b = (Media(name, encode_webp_uri(to_rgb_clip(clip), rate=PAGE_FRAME_RATE)) for name, clip in sides.items())
    return PreferencePair(trials.clip_name(number), a, b)
