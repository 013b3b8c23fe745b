"""How far the disc of the sprite world goes where it is sent: python tools/measure_world.py runs/world."""

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
"""By how much red stands above green and blue, of a range of two, where the disc is."""


@dataclass(frozen=True, kw_only=True)
class MeasureConfig:
    """Regress where a world model puts the red disc of held-out clips of sprite-world on where it was sent.

    The disc is where red stands out, and its place the mean of these pixels, weighted by how much it does; clips in
    which something else is red are left out by the truth: there the true disc must go where it was sent to half a
    pixel. The slope is 1, and R^2 is 1, if the model puts it where it belongs.
    """

    model: str
    """A run folder or a folder with a model."""

    clips: int = 100
    """Held-out clips to look at."""


@report_user_errors
def main(argv: list[str] | None = None) -> None:
    """Measure and print."""
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
    clear = ((true - sent).norm(dim=2) < 0.5).all(1)  # no border was met, and nothing else is red
    if clear.sum() < 3:
        raise ValueError(f"clips: in {int(clear.sum())} of {config.clips} the disc can be followed; look at more")
    kept = replace(batch[:], frames=batch.frames[clear], labels=batch.labels[clear], actions=batch.actions[clear])
    frames = run_world(model, begin_world(model, kept.past), kept.future_actions)  # type: ignore[arg-type]
    made = locate_disc(to_float(torch.stack(list(frames), 1))) - locate_disc(to_float(kept.past[:, -1:]))
    print(f"{int(clear.sum())} of {config.clips} clips, {shape.clip_frames - shape.context_frames} steps each")
    for name, moved in (("truth", true[clear]), ("model", made)):
        slope, explained = regress(sent[clear], moved)
        print(f"{name}: slope {slope:.3f}, R^2 {explained:.3f}, mean distance {error(sent[clear], moved):.2f} pixels")


def locate_disc(frames: Float[Tensor, "batch time 3 height width"]) -> Float[Tensor, "batch time 2"]:
    """(x, y) in pixels of what is red in each frame."""
    red = (frames[:, :, 0] - frames[:, :, 1:].amax(2) - MARGIN).clamp(min=0)
    total = red.sum((2, 3)).clamp(min=1e-6)
    x, y = torch.arange(frames.shape[4]).float(), torch.arange(frames.shape[3]).float()
    return torch.stack([(red.sum(2) * x).sum(2) / total, (red.sum(3) * y).sum(2) / total], 2)


def regress(sent: Tensor, moved: Tensor) -> tuple[float, float]:
    """(Slope of the line through all points and the origin's offset, share of the variance that it explains)."""
    x, y = sent.flatten().double().numpy(), moved.flatten().double().numpy()
    slope, offset = np.polyfit(x, y, 1)
    return float(slope), float(1 - np.var(y - slope * x - offset) / np.var(y))


def error(sent: Tensor, moved: Tensor) -> float:
    """Mean distance between where the disc is and where it was sent."""
    return float((moved - sent).norm(dim=2).mean())


if __name__ == "__main__":
    main()
