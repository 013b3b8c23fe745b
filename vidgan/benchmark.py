"""How fast video models train and predict, and how fast clips are read, on the machine at hand."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import cast

import av
import torch

from gancore.benchmark import Cost, Speed, cost, matmul_rate, seconds, size_of, training_cost
from gancore.data import Draws, Sample
from gancore.layers import without_spectral_norm
from gancore.reporting.tables import table
from gancore.training.launch import accelerator
from gancore.training.trainer import Objective, Trainer
from vidgan.config import VideoConfig, build_discriminator, build_generator
from vidgan.data.dataset import Clips, DataConfig, collate, open_dataset
from vidgan.files.video import open_footage
from vidgan.objective import Generator, imagine


def speed(config: VideoConfig, *, repeats: int) -> Speed:
    """The cost of an average training step and of one prediction a clip, on noise in place of clips.

    Prediction comes first, so that its peak memory is without discriminators and optimisers.
    """
    processes = accelerator(config.train)
    rate = matmul_rate(processes.device)
    generator, discriminator = build_generator(config), build_discriminator(config)
    prediction = prediction_cost(generator, noise(config).to(processes.device), repeats=repeats)
    with TemporaryDirectory() as folder:
        trainer = Trainer(
            Path(folder),
            config.train,
            generator=generator,
            discriminator=discriminator,
            objective=cast(Objective, config.objective),
            dataset=(),
            collate=partial(collate, context=config.data.context),
            accelerator=processes,
        )
        training = training_cost(trainer, noise(config), every=config.objective.penalties.every, repeats=repeats)
    return Speed(config.train.batch, size_of(generator), size_of(discriminator), training, prediction, rate)


def noise(config: VideoConfig) -> Clips:
    """A batch of the shape described."""
    data, count = config.data, config.train.batch // config.train.accumulate
    frames = torch.randint(256, (count, data.frames, data.channels, data.height, data.width), dtype=torch.uint8)
    return Clips(frames, torch.zeros(count, dtype=torch.long), data.context)


@torch.inference_mode()
def prediction_cost(generator: Generator, batch: Clips, *, repeats: int) -> Cost:
    """The cost of one future for each clip of the batch, spectral norm folded in."""
    lean = cast(Generator, without_spectral_norm(generator).to(batch.frames.device))
    draws = Draws(0, device=batch.frames.device)
    return cost(lambda: imagine(lean, batch, draws, samples=1), repeats=repeats, device=batch.frames.device)


@dataclass(frozen=True)
class Reading:
    """Seconds to read all windows of a film as clips, and to decode them without more."""

    windows: int
    dataset: float
    decoding: float


def reading(film: str, data: DataConfig, *, repeats: int) -> Reading:
    """How long the data path takes for one film, window by window in random order."""
    dataset = open_dataset(data, train=False)
    footage = open_footage(film)
    span = (data.frames - 1) * data.stride + 1
    starts = list(range(0, footage.frames - span + 1, span))
    assert len(dataset) == len(starts), "held-out clips lie end to end"
    order = Random(0).sample(range(len(starts)), len(starts))

    def read() -> None:
        for index in order:
            collate([dataset[Sample(index, 0)]], data.context)

    def decode() -> None:
        for index in order:
            decode_window(film, starts[index], span)

    cpu = torch.device("cpu")
    read()
    decode()
    times = (seconds(work, repeats=repeats, device=cpu) for work in (read, decode))
    return Reading(len(starts), *times)


def decode_window(film: str, start: int, count: int) -> int:
    """How many of the frames from `start` on could be decoded with PyAV alone, beginning at the key frame before."""
    with av.open(film) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        rate, unit = stream.average_rate, stream.time_base
        assert rate
        assert unit
        first = (stream.start_time or 0) + round(start / rate / unit)
        container.seek(first, stream=stream)
        kept = 0
        for frame in container.decode(stream):
            if frame.pts is not None and frame.pts >= first:
                frame.to_ndarray(format="rgb24")
                kept += 1
            if kept == count:
                break
    return kept


def reading_report(reading: Reading, title: str) -> str:
    """A table of how fast clips are read."""
    rows = {
        name: [f"{reading.windows / taken:.1f}", f"{reading.decoding / taken:.0%}"]
        for name, taken in {
            "data path, resized and batched": reading.dataset,
            "bare PyAV decoding to RGB of the same windows": reading.decoding,
        }.items()
    }
    return table(title, ["clips/s", "of bare decoding"], rows)
