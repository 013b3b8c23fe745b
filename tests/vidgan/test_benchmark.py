"""How fast video models train and predict, and how fast clips are read."""

from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from support.tiny import preset, small_discriminator, small_generator

from gancore.benchmark import format_throughput_table
from gancore.config import PenaltyConfig
from vidgan.benchmark import (
    count_training_step,
    decode_window,
    format_reading_time,
    format_step_count,
    measure_reading_time,
    measure_throughput,
)
from vidgan.config import VideoConfig, VideoObjectiveConfig
from vidgan.data_config import VideoDataConfig
from vidgan.files.video import write_clip


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """The path of a video of 20 frames."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    write_clip(path, torch.randint(256, (20, 3, 32, 48), dtype=torch.uint8), rate=Fraction(30000, 1001))
    return str(path)


@pytest.mark.parametrize("name", ["modern", "paper"])
def test_training_costs_more_than_prediction(name):
    whole = preset(name)
    config = VideoConfig(
        data=VideoDataConfig(height=16, width=16, channels=1, clip_frames=5, context_frames=2),
        generator=small_generator(name),
        discriminator=small_discriminator(name),
        objective=whole.objective,
        train=replace(whole.train, batch=2, cpu=True),
    )
    found = measure_throughput(config, repeats=1)
    assert 2 * found.inference_cost.flops < found.training_cost.flops
    assert min(found.inference_cost.peak_bytes, found.training_cost.peak_bytes) > 0  # of all that this process did
    assert (
        min(
            found.inference_cost.seconds,
            found.training_cost.seconds,
            found.generator_parameters,
            found.discriminator_parameters,
        )
        > 0
    )
    text = format_throughput_table({"small": found}, item="clip", inference="prediction").splitlines()
    assert [line.partition("  ")[0] for line in text[1:]] == ["small: training step", "small: prediction"]


def test_a_rare_penalty_counts_at_its_share():
    data = VideoDataConfig(height=16, width=16, channels=1, clip_frames=3, context_frames=1)
    objectives = [
        replace(VideoObjectiveConfig(), penalties=replace(VideoObjectiveConfig().penalties, lazy_every=n))
        for n in (1, 4, 400)
    ]
    always, sometimes, hardly = (
        measure_throughput(
            VideoConfig(
                data=data,
                generator=small_generator("modern"),
                discriminator=small_discriminator("modern"),
                objective=objective,
                train=replace(VideoConfig().train, batch=2, cpu=True),
            ),
            repeats=1,
        ).training_cost.flops
        for objective in objectives
    )
    assert hardly < sometimes < always
    assert sometimes == pytest.approx((3 * hardly + always) / 4, rel=0.01)


def small(name: str, **options: int) -> VideoConfig:
    whole = preset(name)
    return VideoConfig(
        data=VideoDataConfig(height=16, width=16, channels=1, clip_frames=6, context_frames=2),
        generator=replace(small_generator(name), segment_steps=options.get("segment")),
        discriminator=small_discriminator(name),
        objective=replace(whole.objective, penalties=PenaltyConfig()),
        train=replace(whole.train, batch=options.get("batch", 3), gradient_accumulation_steps=1, cpu=True),
    )


@pytest.mark.parametrize("name", ["modern", "paper"])
def test_what_is_counted_without_computing_is_what_is_computed(name):
    counted, measured = count_training_step(small(name)), measure_throughput(small(name), repeats=1)
    assert 3 * counted.clip_flops == measured.training_cost.flops
    assert 5 * counted.clip_flops == measure_throughput(small(name, batch=5), repeats=1).training_cost.flops
    parameters = 4 * measured.generator_parameters + 3 * measured.discriminator_parameters
    assert counted.resident_bytes == 4 * parameters


def test_recomputation_saves_memory_for_operations():
    kept, recomputed = count_training_step(small("paper")), count_training_step(small("paper", segment=1))
    assert recomputed.peak_bytes(8) < kept.peak_bytes(8)
    assert recomputed.clip_flops > kept.clip_flops
    text = format_step_count({"kept": kept, "recomputed": recomputed}, clips=(1, 8)).splitlines()
    assert [line.partition("  ")[0] for line in text[1:]] == ["kept", "recomputed"]
    assert text[1].endswith(f"{kept.peak_bytes(8) / 2**30:.1f} GiB")


def test_every_window_is_read_and_decoded(film):
    found = measure_reading_time(
        film,
        VideoDataConfig(path=film, height=16, width=16, clip_frames=6, context_frames=0, holdout_fraction=1.0),
        repeats=1,
    )
    assert found.clips == 3
    assert found.dataset_seconds > 0
    assert found.decoding_seconds > 0
    assert format_reading_time(found, "film").splitlines()[2].endswith("100%")


@pytest.mark.parametrize(("start", "count", "decoded"), [(0, 6, 6), (12, 6, 6), (15, 6, 5)])
def test_bare_decoding_begins_at_the_window(film, start, count, decoded):
    assert decode_window(film, start, count) == decoded


def test_the_benchmark_counts_the_step_of_a_recipe_without_computing_it(use):
    said = use("benchmark", "count", "--presets=tiny")
    assert said.code == 0, said.err
    assert [line.partition("  ")[0] for line in said.out.splitlines()[1:]] == [
        "tiny, recomputed in segments of 4",
        "tiny, all timesteps kept",
    ]
    assert "TFLOP/clip" in said.out
