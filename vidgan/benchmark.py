"""Speed of training, prediction and reading of clips on this machine."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import cast

import av
import torch

from gancore.benchmark import (
    Cost,
    Throughput,
    count_parameters,
    measure_cost,
    measure_matmul_rate,
    measure_seconds,
    measure_training_cost,
)
from gancore.data import Sample
from gancore.layers import fold_spectral_norm
from gancore.reporting.tables import format_table
from gancore.rng import SampleRandom
from gancore.training.launch import create_accelerator
from gancore.training.trainer import Trainer
from vidgan.build import build_discriminator, build_generator
from vidgan.config import VideoConfig
from vidgan.data.batch import ClipBatch, collate
from vidgan.data.dataset import open_dataset
from vidgan.data_config import VideoDataConfig
from vidgan.files.video import open_video
from vidgan.objective import VideoModel, VideoObjective, sample_futures


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


def make_noise_batch(config: VideoConfig) -> ClipBatch:
    """A batch of random pixels, of the size of one micro-batch."""
    data, count = config.data, config.train.batch // config.train.gradient_accumulation_steps
    frames = torch.randint(256, (count, data.clip_frames, data.channels, data.height, data.width), dtype=torch.uint8)
    return ClipBatch(frames, torch.zeros(count, dtype=torch.long), data.context_frames)


@torch.inference_mode()
def measure_prediction_cost(generator: VideoModel, batch: ClipBatch, *, repeats: int) -> Cost:
    """Measures the prediction of one future for each clip of the batch, with spectral norm folded into the weights."""
    folded = cast(VideoModel, fold_spectral_norm(generator).to(batch.frames.device))
    rng = SampleRandom(0, device=batch.frames.device)
    return measure_cost(
        lambda: sample_futures(folded, batch, rng, samples=1), repeats=repeats, device=batch.frames.device
    )


@dataclass(frozen=True)
class ReadingTime:
    """Seconds to read all windows of a video as clips, and to decode them and do nothing else."""

    clips: int
    dataset_seconds: float
    decoding_seconds: float


def measure_reading_time(video: str, data: VideoDataConfig, *, repeats: int) -> ReadingTime:
    """Times the data set and bare decoding on one video, window by window in random order."""
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
    """Decodes a window with PyAV alone, from the key frame before it; returns the number of frames that it got."""
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
    """A table of clips per second, and of their fraction of the speed of bare decoding."""
    rows = {
        name: [f"{reading.clips / taken:.1f}", f"{reading.decoding_seconds / taken:.0%}"]
        for name, taken in {
            "data path, resized and batched": reading.dataset_seconds,
            "bare PyAV decoding to RGB of the same windows": reading.decoding_seconds,
        }.items()
    }
    return format_table(title, ["clips/s", "of bare decoding"], rows)
