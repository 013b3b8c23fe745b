"""Video work beside what else could be used: that both sides do the same, at tiny sizes."""

from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from support.tiny import preset, small_discriminator, small_generator

from gancore.comparison import OURS
from vidgan.build import build_generator
from vidgan.config import VideoConfig
from vidgan.data_config import VideoDataConfig
from vidgan.files.video import write_clip
from vidgan.networks.generator import FramePredictor
from vidgan.peer_benchmark import (
    MODULES,
    WINDOW,
    compare_prediction,
    compare_reading,
    compare_sizes,
    compare_training,
    find_package,
    missing_packages,
)


@pytest.fixture(scope="module")
def config():
    whole = preset("modern")
    return VideoConfig(
        data=VideoDataConfig(height=16, width=16, channels=1, clip_frames=5, context_frames=2),
        generator=small_generator("modern"),
        discriminator=small_discriminator("modern"),
        objective=whole.objective,
        train=replace(whole.train, batch=2, gradient_accumulation_steps=1, cpu=True),
    )


@pytest.fixture(scope="module")
def predictor(config):
    made = build_generator(config)
    assert isinstance(made, FramePredictor)
    return made


def test_a_training_step_changes_the_weights_of_every_side(config, tmp_path):
    comparison = compare_training(config, tmp_path)
    assert set(comparison.parameters) == {OURS, *comparison.others}
    peers = [work.args[0] for work in comparison.others.values()]
    before = [next(peer.parameters()).clone() for peer in peers]
    comparison.work()
    for work in comparison.others.values():
        work()
    assert all(not torch.equal(old, next(peer.parameters())) for old, peer in zip(before, peers, strict=True))


def test_predictions_of_all_sides_have_the_same_shape(predictor):
    comparison = compare_prediction(predictor, height=12, width=20, steps=3)
    shapes = {name: work().shape for name, work in {OURS: comparison.work, **comparison.others}.items()}
    assert set(shapes.values()) == {(1, 3, 1, 12, 20)}
    assert comparison.item_count == 3


def test_sizes_are_named_by_what_is_predicted(predictor):
    comparisons = compare_sizes(predictor, [(3, 16, 16), (2, 8, 24)])
    assert list(comparisons) == ["3 frames of 16x16", "2 frames of 24x8"]
    assert comparisons["2 frames of 24x8"].work().shape == (1, 2, 1, 8, 24)


def test_every_decoder_that_is_installed_reads_every_window(tmp_path):
    film = tmp_path / "film.mp4"
    write_clip(film, torch.randint(256, (2 * WINDOW, 3, 32, 48), dtype=torch.uint8), rate=Fraction(25))
    comparison = compare_reading(film, side=16)
    assert comparison.item_count == 2
    comparison.work()
    for read in comparison.others.values():
        read()


def test_packages_are_missing_or_found():
    missing = missing_packages()
    assert all((find_package(name) is None) == (name in missing) for name in MODULES)
