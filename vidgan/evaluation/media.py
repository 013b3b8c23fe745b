"""The clips that an evaluation shows: in its report, and in pairs for a preference study."""

from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from gancore.data import evenly_spaced
from gancore.reporting.contact_sheet import make_contact_sheet
from gancore.reporting.page import Gallery, Media, encode_png_uri, encode_webp_uri
from gancore.reporting.preference import PreferencePair, write_rating_page
from vidgan.commands import EvaluateConfig
from vidgan.evaluation import baselines
from vidgan.evaluation.clip_sets import TRUE_SET
from vidgan.evaluation.methods import EvaluationSet
from vidgan.evaluation.report import CLEAN_PAST, ExampleClips, Neighbour, NeighbourReport, VideoReport
from vidgan.evaluation.scores import method_prefix
from vidgan.evaluation.synthesis import open_training_set
from vidgan.files.grid import tile_clips
from vidgan.frames import convert_channels
from vidgan.validation import to_displayable

PAGE_FRAME_RATE = 8
"""Frames per second of the clips on a page."""
BORDER = 2
"""Width in pixels of the border that tells generated frames from given ones."""
GENERATED_COLOUR, CONTEXT_COLOUR = (226, 117, 25), (150, 150, 150)
"""RGB of that border: orange around generated frames, grey around given ones."""
SAMPLES_SHOWN = 3
"""Samples of each method that are shown."""
PAST_FRAMES_SHOWN, FUTURE_FRAMES_SHOWN = 2, 7
"""Frames of a clip that are shown side by side."""
MIN_STRIP_HEIGHT = 96
"""Frames shown side by side are enlarged by a whole factor towards this height in pixels."""
GRID_SIDE = 4
"""Rows and columns of a grid of clips generated from noise."""

Frames = Float[Tensor, "time channels height width"]
RGBClip = UInt8[Tensor, "time 3 _height _width"]


def build_galleries(report: VideoReport, evaluation_set: EvaluationSet, config: EvaluateConfig) -> Iterator[Gallery]:
    """Show the clips worth looking at; they are predicted or read again, as they were not kept."""
    with torch.inference_mode():
        if report.prediction:
            yield from build_example_galleries(report.prediction.examples, evaluation_set)
        else:
            yield build_sample_gallery(evaluation_set)
        if report.synthesis and report.synthesis.neighbours:
            yield build_neighbour_gallery(report.synthesis.neighbours, evaluation_set, config)


def build_example_galleries(examples: ExampleClips, evaluation_set: EvaluationSet) -> Iterator[Gallery]:
    """Show the best, median and worst clips moving, then the median one frame by frame."""
    items = [
        Media(
            f"{rank}: {each.clip}, {examples.metric.upper()} {each.score:.3f}",
            animate_columns(evaluation_set, each.number),
        )
        for rank, clips in examples.by_rank().items()
        for each in clips
    ]
    order = ", ".join(build_columns(evaluation_set, 0))
    yield Gallery(
        f"Best, median and worst by {examples.forecast}",
        items,
        note=f"From left to right: {order}. A grey border marks given frames, an orange one predicted frames.",
    )
    middle = (examples.median or examples.best)[0]
    rows = build_columns(evaluation_set, middle.number)
    context = evaluation_set.context_frames
    frames = [*range(max(0, context - PAST_FRAMES_SHOWN), context)]
    frames += [
        context + step for step in evenly_spaced(evaluation_set.clip_shape[0] - context, count=FUTURE_FRAMES_SHOWN)
    ]
    scale = max(1, MIN_STRIP_HEIGHT // evaluation_set.clip_shape[2])
    enlarged = [shown[frames].repeat_interleave(scale, 2).repeat_interleave(scale, 3) for shown in rows.values()]
    strip = make_contact_sheet(enlarged, labels=list(rows))
    caption = f"{middle.clip}, frames {', '.join(str(frame + 1) for frame in frames)}"
    yield Gallery(
        "Frame by frame",
        [Media(caption, encode_png_uri(strip))],
        note="A grey border marks given frames, an orange one predicted frames.",
    )


def build_columns(evaluation_set: EvaluationSet, number: int) -> dict[str, RGBClip]:
    """Return the true clip and forecasts of it by their captions, with borders that mark predicted frames."""
    batch, futures_by_method = evaluation_set.load_batch(range(number, number + 1))
    past, steps = batch.past, batch.future.shape[1]
    context = batch.context_frames
    found = {"true": add_border(batch.frames[0], given_frames=len(batch.frames[0]))}
    for method, futures in futures_by_method.items():
        prefix, several = method_prefix(method, futures_by_method), futures.shape[1] > 1
        given = (batch.true_past if method == CLEAN_PAST else past)[0]
        for sample, future in enumerate(futures[0, :SAMPLES_SHOWN], 1):
            name = f"{prefix}sample {sample}" if several else f"{prefix}prediction"
            found[name] = add_border(torch.cat([given, future]), given_frames=context)
        if several:
            mean = torch.cat([given, futures[0].mean(0)])
            found[f"{prefix}mean of samples"] = add_border(mean, given_frames=context)
    if context > 1:
        extrapolated = baselines.extrapolate_flow(past, steps)[0]
        found["optical flow"] = add_border(torch.cat([past[0], extrapolated]), given_frames=context)
    return found


def add_border(clip: Frames, *, given_frames: int) -> RGBClip:
    """Convert a clip to RGB with a border: grey around the first `given_frames` frames, orange around the others."""
    inside = to_rgb_clip(clip)
    colours = [CONTEXT_COLOUR] * given_frames + [GENERATED_COLOUR] * (len(clip) - given_frames)
    edge = torch.tensor(colours, dtype=torch.uint8)
    whole = F.pad(inside, (BORDER,) * 4)
    canvas = edge[:, :, None, None].expand_as(whole).clone()
    canvas[..., BORDER:-BORDER, BORDER:-BORDER] = inside
    return canvas


def animate_columns(evaluation_set: EvaluationSet, number: int) -> str:
    """Return the true clip and forecasts of it side by side, as the data URI of an animation."""
    shown = torch.stack(list(build_columns(evaluation_set, number).values()))
    return encode_webp_uri(tile_clips(shown, columns=len(shown)), rate=PAGE_FRAME_RATE)


def build_sample_gallery(evaluation_set: EvaluationSet) -> Gallery:
    """Show generated clips, and as many true ones."""
    numbers = evenly_spaced(len(evaluation_set), count=GRID_SIDE * GRID_SIDE)
    batches = [evaluation_set.load_batch(range(number, number + 1)) for number in numbers]
    true = torch.stack([to_rgb_clip(batch.frames[0]) for batch, _ in batches])
    generated = torch.stack([to_rgb_clip(next(iter(futures.values()))[0, 0]) for _, futures in batches])
    items = [
        Media(name, encode_webp_uri(tile_clips(clips, columns=GRID_SIDE), rate=PAGE_FRAME_RATE))
        for name, clips in (("generated", generated), ("true", true))
    ]
    return Gallery("Generated and true clips", items)


def build_neighbour_gallery(
    neighbours: NeighbourReport, evaluation_set: EvaluationSet, config: EvaluateConfig
) -> Gallery:
    """Show the generated clips that are closest to a known clip, each next to that clip."""
    reference = open_training_set(config, evaluation_set) if neighbours.reference != TRUE_SET else evaluation_set
    assert reference is not None
    return Gallery(
        "Nearest neighbours",
        [_show_neighbour(evaluation_set, reference, each) for each in neighbours.closest],
        note=f"Generated clips on the left, the nearest {neighbours.reference} clip on the right, by "
        f"{neighbours.network}.",
    )


def _show_neighbour(evaluation_set: EvaluationSet, reference: EvaluationSet, found: Neighbour) -> Media:
    _, futures = evaluation_set.load_batch(range(found.sample, found.sample + 1))
    batch, _ = reference.load_batch(range(found.neighbour, found.neighbour + 1))
    both = torch.stack([to_rgb_clip(next(iter(futures.values()))[0, 0]), to_rgb_clip(batch.frames[0])])
    return Media(
        f"sample {found.sample}, distance {found.distance:.3g}",
        encode_webp_uri(tile_clips(both, columns=2), rate=PAGE_FRAME_RATE),
    )


def to_rgb_clip(clip: Frames) -> RGBClip:
    """Convert a clip in [-1, 1] to RGB bytes."""
    return convert_channels(to_displayable(clip), 3)


# --------------------------------------------------------------------------------------------------- preference study


@torch.inference_mode()
def write_preference_pairs(evaluation_set: EvaluationSet, config: EvaluateConfig) -> Path:
    """Write a page of unlabelled pairs: of two methods, or of generated and true clips. Returns the path of its key."""
    assert config.rating_page is not None
    numbers = evenly_spaced(len(evaluation_set), count=config.rating_pairs)
    pairs = [build_pair(evaluation_set, number) for number in numbers]
    question = "Which of the two clips looks more real?"
    return write_rating_page(config.rating_page, pairs, question=question, seed=config.seed)


def build_pair(evaluation_set: EvaluationSet, number: int) -> PreferencePair:
    """Pair two clips of equal length, with the same past if there is one."""
    batch, futures_by_method = evaluation_set.load_batch(range(number, number + 1))
    sides = {name: torch.cat([batch.past[0], futures[0, 0]]) for name, futures in futures_by_method.items()}
    if len(sides) == 1:
        sides = {TRUE_SET: batch.frames[0], **sides}
    a, b = (Media(name, encode_webp_uri(to_rgb_clip(clip), rate=PAGE_FRAME_RATE)) for name, clip in sides.items())
    return PreferencePair(evaluation_set.clip_name(number), a, b)
