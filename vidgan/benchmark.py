"""Benchmarks of training, prediction, world models and reading of clips on this machine."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import cast

import av
import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrize

from gancore.benchmark import (
    Cost,
    LiveBytes,
    OperationCounter,
    Throughput,
    count_parameters,
    measure_cost,
    measure_matmul_rate,
    measure_seconds,
    measure_training_cost,
)
from gancore.config import PenaltyConfig
from gancore.data import Sample
from gancore.layers import fold_spectral_norm
from gancore.reporting.tables import format_table
from gancore.rng import SampleRandom
from gancore.training.launch import create_accelerator
from gancore.training.protocols import StepContext, Update
from gancore.training.trainer import Trainer
from vidgan.build import build_discriminator, build_generator
from vidgan.config import VideoConfig
from vidgan.data.batch import ClipBatch, collate
from vidgan.data.dataset import open_dataset
from vidgan.data_config import VideoDataConfig
from vidgan.files.video import open_video
from vidgan.networks.generator import FramePredictor
from vidgan.objective import VideoModel, VideoObjective, sample_futures
from vidgan.simulation import begin_world, step_world, trained_steps


def measure_throughput(config: VideoConfig, *, repeats: int) -> Throughput:
    """Measures an average training step, and a batch of one prediction per clip, on random pixels.

    Prediction comes first, so that its peak memory excludes discriminators and optimisers.
    """
    accelerator = create_accelerator(config.train)
    rate = measure_matmul_rate(accelerator.device)
    generator, discriminator = build_generator(config), build_discriminator(config)
    prediction = measure_prediction_cost(generator, make_noise_batch(config).to(accelerator.device), repeats=repeats)
    with TemporaryDirectory() as folder:
        trainer = Trainer(
            Path(folder),
            config.train,
            generator=generator,
            discriminator=discriminator,
            objective=VideoObjective(config.objective),
            dataset=(),
            collate=partial(collate, context_frames=config.data.context_frames),
            accelerator=accelerator,
        )
        training = measure_training_cost(
            trainer, make_noise_batch(config), every=config.objective.penalties.lazy_every, repeats=repeats
        )
    return Throughput(
        config.train.batch, count_parameters(generator), count_parameters(discriminator), training, prediction, rate
    )


def make_noise_batch(config: VideoConfig, *, count: int | None = None) -> ClipBatch:
    """A batch of random pixels, by default of the size of one micro-batch."""
    data, count = config.data, count or config.train.batch // config.train.gradient_accumulation_steps
    frames = torch.randint(256, (count, data.clip_frames, data.channels, data.height, data.width), dtype=torch.uint8)
    return ClipBatch(frames, torch.zeros(count, dtype=torch.long), data.context_frames)


@torch.inference_mode()
def measure_prediction_cost(generator: VideoModel, batch: ClipBatch, *, repeats: int) -> Cost:
    """Times the prediction of one future per clip of the batch, with spectral norm folded into the weights."""
    folded = cast(VideoModel, fold_spectral_norm(generator).to(batch.frames.device))
    rng = SampleRandom(0, device=batch.frames.device)
    return measure_cost(
        lambda: sample_futures(folded, batch, rng, samples=1), repeats=repeats, device=batch.frames.device
    )


@dataclass(frozen=True)
class Linear:
    """Memory of a batch, a linear function of its number of clips."""

    fixed: int
    """Bytes that do not depend on the batch size: gradients, normalised weights."""
    each: int
    """Bytes per clip."""

    def at(self, clips: int) -> int:
        """The bytes of a batch of this size."""
        return self.fixed + clips * self.each


@dataclass(frozen=True)
class StepCount:
    """Costs of a training step in float32, without gradient penalties and perceptual distance."""

    clip_flops: int
    """Operations of matrix products and convolutions per clip of the batch, in all updates of a step."""
    resident_bytes: int
    """Bytes of the weights, their moving average and Adam's state."""
    turn_bytes: tuple[Linear, ...]
    """Peak memory of all other tensors, including gradients, in the update of each player."""

    def peak_bytes(self, clips: int) -> int:
        """Peak memory, in bytes, of a step with this many clips."""
        return self.resident_bytes + max(turn.at(clips) for turn in self.turn_bytes)


def count_training_step(config: VideoConfig, *, classes: int = 0) -> StepCount:
    """Counts the costs of training steps with one and two clips on the meta device, without computing anything."""
    device = torch.device("meta")
    names = tuple(map(str, range(classes)))
    with device:
        generator, discriminator = build_generator(config, classes=names), build_discriminator(config, classes=names)
    plain = replace(config.objective, penalties=PenaltyConfig(), perceptual_weight=0.0)
    objective = VideoObjective(plain)
    updates = [
        (objective.discriminator_update(generator, discriminator), config.train.discriminator_steps),
        *((update, 1) for update in objective.generator_updates(generator, discriminator)),
    ]
    flops, peaks = [0, 0], []  # of one clip and of two
    for update, times in updates:
        turn = []
        for number, clips in enumerate((1, 2)):
            operations, memory = OperationCounter(), LiveBytes(device)
            with operations, memory:
                _run_update(update, make_noise_batch(config, count=clips).to(device), (generator, discriminator))
            flops[number] += times * operations.total
            turn.append(memory.peak)
        peaks.append(_through(*turn))
    weights = count_parameters(generator) * 4 + count_parameters(discriminator) * 3  # two of Adam, and one average
    return StepCount(flops[1] - flops[0], weights * torch.float32.itemsize, tuple(peaks))


def _run_update(update: Update, batch: ClipBatch, players: tuple[nn.Module, ...]) -> None:
    """Computes the gradients of an update, as in the middle of a training."""
    for player in players:
        player.requires_grad_(False)
    update.module.requires_grad_(True).zero_grad()
    context = StepContext(step=1, progress=0.5, rng=SampleRandom(0, device=batch.frames.device))
    with parametrize.cached():
        torch.stack([term.float() for term in update.terms(batch, context).values()]).sum().backward()


def _through(one: int, two: int) -> Linear:
    """The linear function through the costs of one and of two clips."""
    return Linear(2 * one - two, two - one)


def format_step_count(counts: Mapping[str, StepCount], *, clips: Sequence[int] = (1, 8, 64)) -> str:
    """A table of operations and peak memory of steps, for several numbers of clips per device."""
    rows = {
        name: [
            f"{count.clip_flops / 1e12:.3g}",
            f"{count.resident_bytes / 2**30:.1f} GiB",
            *(f"{count.peak_bytes(number) / 2**30:.1f} GiB" for number in clips),
        ]
        for name, count in counts.items()
    }
    heads = ["TFLOP/clip", "weights and Adam", *(f"peak, batch {number}" for number in clips)]
    return format_table("", heads, rows)


@dataclass(frozen=True)
class WorldStepTime:
    """Milliseconds of CPU time, over all threads, of the steps of one simulated world."""

    step: float
    """A step from the carried state."""
    look: float
    """Encoding a past: at the start, or when the state is refreshed from the model's own frames."""


def measure_world_step(model: FramePredictor, *, steps: int = 50, repeats: int = 5) -> WorldStepTime:
    """Times a world of the trained size on the CPU: the median over several runs of several steps."""
    shape, random = model.shape, torch.Generator().manual_seed(0)
    size = (1, shape.context_frames, shape.channels, shape.height, shape.width)
    past = torch.randint(256, size, dtype=torch.uint8, generator=random)
    actions = torch.rand(1, steps, shape.actions, generator=random) if shape.actions else None
    looks, spent = [], []
    for _ in range(repeats + 1):  # the first run warms up
        start = time.process_time()
        state = begin_world(model, past)
        looks.append(time.process_time() - start)
        start = time.process_time()
        for number in range(steps):
            _, state = step_world(model, state, None if actions is None else actions[:, number])
        spent.append((time.process_time() - start) / steps)
    return WorldStepTime(*(1000 * float(np.median(each[1:])) for each in (spent, looks)))


def format_world_step(measured: WorldStepTime, model: FramePredictor) -> str:
    """A table of the time of a step, and its mean with refreshes as often as the model was trained for."""
    every = trained_steps(model)
    rows = {
        "a step": [f"{measured.step:.1f}"],
        "a look at own frames": [f"{measured.look:.1f}"],
        f"a step, with a look every {every}": [f"{measured.step + measured.look / every:.1f}"],
    }
    return format_table(f"one world of {model.shape.height}x{model.shape.width}", ["CPU milliseconds"], rows)


@dataclass(frozen=True)
class ReadingTime:
    """Seconds to read all windows of a video as clips, and to only decode them."""

    clips: int
    dataset_seconds: float
    decoding_seconds: float


def measure_reading_time(video: str, data: VideoDataConfig, *, repeats: int) -> ReadingTime:
    """Times the data set and mere decoding on one video, window by window in random order."""
    dataset = open_dataset(data, split="test")
    reader = open_video(video)
    span = (data.clip_frames - 1) * data.stride + 1
    starts = list(range(0, reader.frames - span + 1, span))
    assert len(dataset) == len(starts), "held-out clips lie end to end"
    order = Random(0).sample(range(len(starts)), len(starts))

    def read() -> None:
        for index in order:
            collate([dataset[Sample(index, 0)]], data.context_frames)

    def decode() -> None:
        for index in order:
            decode_window(video, starts[index], span)

    cpu = torch.device("cpu")
    read()
    decode()
    times = (measure_seconds(work, repeats=repeats, device=cpu) for work in (read, decode))
    return ReadingTime(len(starts), *times)


def decode_window(video: str, start: int, count: int) -> int:
    """Decodes a window with PyAV alone, from the previous key frame on; returns the number of decoded frames."""
    with av.open(f"file:{video}") as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        rate, unit = stream.average_rate, stream.time_base
        assert rate
        assert unit
        first = (stream.start_time or 0) + round(start / rate / unit)
        container.seek(first, stream=stream)
        decoded = 0
        for frame in container.decode(stream):
            if frame.pts is not None and frame.pts >= first:
                frame.to_ndarray(format="rgb24")
                decoded += 1
            if decoded == count:
                break
    return decoded


def format_reading_time(reading: ReadingTime, title: str) -> str:
    """A table of clips per second, and of the speed relative to mere decoding."""
    rows = {
        name: [f"{reading.clips / taken:.1f}", f"{reading.decoding_seconds / taken:.0%}"]
        for name, taken in {
            "data path, resized and batched": reading.dataset_seconds,
            "bare PyAV decoding to RGB of the same windows": reading.decoding_seconds,
        }.items()
    }
    return format_table(title, ["clips/s", "of bare decoding"], rows)
