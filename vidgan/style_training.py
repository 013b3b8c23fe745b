"""Training of style generators of clips: random start times, style mixing and the path length penalty."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gancore.growing import fade_resolution
from gancore.style_config import StyleObjectiveConfig
from gancore.style_training import PathLength, train_styles
from gancore.training.protocols import StepContext
from vidgan.data.batch import ClipBatch
from vidgan.networks.generator import VideoGenerator

Clips = Float[Tensor, "batch time channels height width"]


def make_training_clips(
    generator: VideoGenerator,
    batch: ClipBatch,
    latents: Float[Tensor, "batch latent"],
    *,
    config: StyleObjectiveConfig,
    context: StepContext,
) -> Clips:
    """Generates clips of the batch's classes and length, with style mixing and random start times.

    As real clips may start anywhere in a video, generated ones start at any time within one anchor distance; motion
    codes have the same distribution in each.
    """
    assert generator.style is not None
    steps, labels = batch.frames.shape[1], labels_for(generator, batch)
    styles = train_styles(
        generator.style.mapping,
        lambda drawn: generator.map_latents(drawn, labels),
        latents,
        redraw=lambda: generator.draw_latents(context.rng, len(batch), 1, steps=steps)[:, 0],
        config=config,
        rng=context.rng,
        mean_over_processes=context.mean_over_processes,
    )
    return generator.synthesise(styles, latents, _draw_times(generator, len(latents), steps, context))


def measure_path_length(
    generator: VideoGenerator, batch: ClipBatch, path_length: PathLength, context: StepContext
) -> Float[Tensor, ""]:
    """The path length penalty on new clips, half as many as the batch has, in float32."""
    count, steps = (len(batch) + 1) // 2, batch.frames.shape[1]
    labels = labels_for(generator, batch)
    latents = generator.draw_latents(context.rng, count, 1, steps=steps)[:, 0]
    times = _draw_times(generator, count, steps, context)
    with torch.autocast(latents.device.type, enabled=False):
        styles = generator.map_latents(latents, None if labels is None else labels[:count])
        clips = generator.synthesise(styles, latents, times)
        return path_length(clips, styles, rng=context.rng, mean_over_processes=context.mean_over_processes)


def fade_clips(clips: Clips, hidden: float) -> Clips:
    """The clips with this many of the finest resolution doublings hidden; see `gancore.growing.fade_resolution`."""
    return fade_resolution(clips.flatten(0, 1), hidden).unflatten(0, clips.shape[:2]) if hidden else clips


def labels_for(generator: VideoGenerator, batch: ClipBatch) -> Int[Tensor, " batch"] | None:
    """The batch's labels; None for a generator without classes."""
    return None if generator.embedding is None else batch.labels


def _draw_times(generator: VideoGenerator, clips: int, steps: int, context: StepContext) -> Float[Tensor, "batch time"]:
    times = generator.frame_times(clips, steps)
    if generator.style is None or generator.style.motion is None:
        return times
    return times + generator.config.motion.distance * context.rng.uniform(clips, 1)
