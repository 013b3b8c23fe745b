"""A trained predictor as a simulator: one step at a time, with a state that is held outside the model."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gancore.rng import SampleRandom, derive_seed
from vidgan.frames import to_float, to_uint8
from vidgan.networks.generator import Context, FramePredictor


class WorldState(NamedTuple):
    """All that the frames to come depend on, of a batch of worlds, besides the actions."""

    context: Context
    """What the model carries from step to step."""
    latent: Float[Tensor, "batch latent"]
    recent: Float[Tensor, "batch time channels height width"]
    """The last frames, as many as the model sees, in [-1, 1]."""
    time: int
    """Steps since the model last looked at frames."""


@torch.inference_mode()
def begin_world(
    model: FramePredictor,
    past: UInt8[Tensor, "batch time channels height width"],
    *,
    seed: int = 0,
    truncation: float | None = 0.0,
) -> WorldState:
    """The state after some past frames.

    All numbers of the latents are below `truncation` unless that is None; 0 gives the typical future. World n does not
    depend on the number of worlds. Raises ValueError if the model cannot look at the past, or makes no single steps.
    """
    if not model.decoder.output.yields_frames:
        raise ValueError(f"generator.output {model.config.output} makes all frames at once, not step by step")
    device, size = next(model.parameters()).device, model.config.latent_dim
    latents = [
        SampleRandom(derive_seed(seed, number), device=device).normal(1, size, truncation=truncation)
        for number in range(len(past))
    ]
    frames = to_float(past.to(device))
    return WorldState(model.encode(frames), torch.cat(latents), frames[:, -model.shape.context_frames :], 0)


@torch.inference_mode()
def step_world(
    model: FramePredictor,
    state: WorldState,
    action: Float[Tensor, "batch size"] | None = None,
    *,
    refresh: int = 0,
) -> tuple[UInt8[Tensor, "batch channels height width"], WorldState]:
    """(The next frame, the state after it).

    After every `refresh` steps the model looks at the frames it has made as it did at the past, and forgets all else;
    never if that is 0. Raises ValueError for actions that are missing, or are not those of the model.
    """
    context, time = state.context, state.time
    if refresh and time >= refresh:
        context, time = model.encode(state.recent), 0
    device, (height, width) = state.recent.device, state.recent.shape[-2:]
    given = None if action is None else action.to(device)
    made, context = model.step(context, state.latent, given, time=time)
    frame = to_uint8(made[..., :height, :width])
    recent = torch.cat([state.recent[:, 1:], to_float(frame)[:, None]], 1)
    return frame.cpu(), WorldState(context, state.latent, recent, time + 1)


def run_world(
    model: FramePredictor,
    state: WorldState,
    actions: Float[Tensor, "batch steps size"],
    *,
    refresh: int = 0,
) -> Iterator[UInt8[Tensor, "batch channels height width"]]:
    """The frame after each of the actions, as soon as it is made; any number of them, in the same memory."""
    for action in actions.unbind(1):
        frame, state = step_world(model, state, action, refresh=refresh)
        yield frame


def trained_steps(model: FramePredictor) -> int:
    """How many steps a model was trained to predict."""
    return model.shape.clip_frames - model.shape.context_frames
