"""Defects found in toolkits for video prediction (OpenSTL and its like), each with a test against it."""

import pytest
import torch
from accelerate.state import AcceleratorState
from support.tiny import (
    clips,
    game,
    predictor,
)
from torch import nn

from vidgan.data.dataset import open_dataset
from vidgan.data_config import VideoDataConfig
from vidgan.frames import to_uint8


@pytest.fixture(autouse=True)
def _another_accelerator():
    """Accelerate keeps one state per process; these tests need states of different precisions."""
    torch.manual_seed(0)
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", torch.float32), ("auto", torch.float32), ("bf16", torch.bfloat16)]
)
def test_mixed_precision_is_active_when_it_is_asked_for_and_only_then(precision, dtype, tmp_path):
    """There, the switch never reached the trainer."""
    data = VideoDataConfig(height=16, width=16, clip_frames=5, context_frames=2, channels=1)
    trainer = game("modern", tmp_path, data=data, precision=precision)
    dtypes = set()
    for network in (trainer.generator, trainer.discriminator):
        convolution = next(module for module in network.modules() if isinstance(module, nn.Conv2d))
        convolution.register_forward_hook(lambda *call: dtypes.add(call[-1].dtype))
    trainer.train_step(iter(trainer._create_loader()))
    assert dtype in dtypes
    assert dtype == torch.bfloat16 or dtypes == {torch.float32}
    assert all(parameter.dtype == torch.float32 for parameter in trainer.generator.parameters())


def test_a_model_predicts_from_other_lengths_of_past_and_future_than_it_was_trained_with():
    """There, another length of the past broke the model's channels."""
    model = predictor("modern")
    for context, steps in [(1, 1), (2, 12), (7, 3)]:
        past = to_uint8(clips(1, frames=context)[0])
        assert model.predict(past, steps, samples=2).shape == (2, steps, 1, 16, 16)


def test_the_built_in_data_trains_the_default_model_on_a_cpu(tmp_path):
    """There, a GPU was hard-coded."""
    data = VideoDataConfig(height=16, width=16, clip_frames=5, context_frames=2, channels=1)
    trainer = game("modern", tmp_path, data=data)
    trainer.dataset = open_dataset(data, split="train")
    assert trainer.train()
    assert trainer.accelerator.device.type == "cpu"
