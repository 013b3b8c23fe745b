"""Measure how a world model moves the disc of sprite-world on command: python tools/measure_world.py runs/world."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gancore.data import Sample
from gancore.parsing import parse_config, report_user_errors
from vidgan.data.batch import collate
from vidgan.data.dataset import open_dataset
from vidgan.data.synthetic.sprite_world import TOP_SPEED
from vidgan.data_config import VideoDataConfig
from vidgan.frames import to_float
from vidgan.networks.generator import FramePredictor
from vidgan.simulation import begin_world, run_world

MARGIN = 0.2
"""Least excess of red over green and blue in the disc, for values in [-1, 1]."""


@dataclass(frozen=True, kw_only=True)
class MeasureConfig:
    """Regress the displacement of the red disc in predicted frames of held-out sprite-world clips on the commanded one.

    The position of the disc is the mean of the red pixels, weighted by their excess of red. Only clips in which the
    true disc follows the commands to half a pixel are used: in the others it meets a border, or something else is red.
    A perfect model has a slope and an R^2 of 1.
    """

    model: str
    """A run folder or a folder with a model."""

    clips: int = 100
    """Number of held-out clips."""


@report_user_errors
def main(argv: list[str] | None = None) -> None:
    """Measure the model, and print the regression of the true and of the predicted displacements."""
    config = parse_config(MeasureConfig, argv, positional=["model"])
    model = FramePredictor.from_pretrained(config.model)
    shape = model.shape
    if shape.actions != 2 or shape.channels != 3:
        raise ValueError(f"{config.model} was not trained on sprite-world with actions")
    data = VideoDataConfig(
        path="sprite-world",
        actions=2,
        height=shape.height,
        width=shape.width,
        clip_frames=shape.clip_frames,
        context_frames=shape.context_frames,
    )
    world = open_dataset(data, split="test")
    batch = collate([world[Sample(index, 0)] for index in range(config.clips)], shape.context_frames)
    assert batch.actions is not None
    sent = TOP_SPEED * min(shape.height, shape.width) / 64 * batch.future_actions.cumsum(1)  # type: ignore[union-attr]
    true = locate_disc(to_float(batch.future)) - locate_disc(to_float(batch.past[:, -1:]))
    clear = ((true - sent).norm(dim=2) < 0.5).all(1)  # the disc meets no border, and nothing else is red
    if clear.sum() < 3:
        raise ValueError(f"clips: the disc can be tracked in {int(clear.sum())} of {config.clips}; use more clips")
    kept = replace(batch[:], frames=batch.frames[clear], labels=batch.labels[clear], actions=batch.actions[clear])
    frames = run_world(model, begin_world(model, kept.past), kept.future_actions)  # type: ignore[arg-type]
    made = locate_disc(to_float(torch.stack(list(frames), 1))) - locate_disc(to_float(kept.past[:, -1:]))
    print(f"{int(clear.sum())} of {config.clips} clips, {shape.clip_frames - shape.context_frames} steps each")
    for name, moved in (("truth", true[clear]), ("model", made)):
        slope, explained = regress(sent[clear], moved)
        print(f"{name}: slope {slope:.3f}, R^2 {explained:.3f}, mean distance {error(sent[clear], moved):.2f} pixels")


def locate_disc(frames: Float[Tensor, "batch time 3 height width"]) -> Float[Tensor, "batch time 2"]:
    """Return the position (x, y) in pixels of the red disc in each frame, whose values are in [-1, 1]."""
    red = (frames[:, :, 0] - frames[:, :, 1:].amax(2) - MARGIN).clamp(min=0)
    total = red.sum((2, 3)).clamp(min=1e-6)
    x, y = torch.arange(frames.shape[4]).float(), torch.arange(frames.shape[3]).float()
    return torch.stack([(red.sum(2) * x).sum(2) / total, (red.sum(3) * y).sum(2) / total], 2)


def regress(sent: Tensor, moved: Tensor) -> tuple[float, float]:
    """Return slope and R^2 of the least-squares line with an intercept through all components of the displacements."""
    x, y = sent.flatten().double().numpy(), moved.flatten().double().numpy()
    slope, offset = np.polyfit(x, y, 1)
    return float(slope), float(1 - np.var(y - slope * x - offset) / np.var(y))


def error(sent: Tensor, moved: Tensor) -> float:
    """Return the mean distance in pixels between the measured and the commanded displacement."""
    return float((moved - sent).norm(dim=2).mean())


if __name__ == "__main__":
    main()
