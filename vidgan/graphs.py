"""The graphs of video models: the past and one step of the future with explicit state, or a clip as a whole."""

import torch
from torch import Tensor, nn

from gancore.graphs import DYNAMIC_SIZE, Graph, Port, infer_outputs
from gancore.rng import SampleRandom
from vidgan.networks.generator import Context, FramePredictor, VideoGenerator
from vidgan.networks.translator import ClipTranslator

FRAMES = "values in [-1, 1]"
MEANINGS = {"frame": FRAMES, "frames": FRAMES, "target": "values in about [-1, 1]"}
LATENT = "numbers from N(0, 1), the same at every step of a future; 0 for the typical one"


class EncodePast(nn.Module):
    """From past frames to the states and memory that the first step begins with."""

    def __init__(self, model: FramePredictor):
        super().__init__()
        self.model = model

    def forward(self, past: Tensor) -> tuple[Tensor, ...]:
        """(Initial states, smallest map first, then the memory of the output)."""
        context = self.model.encode(past)
        return *context.states, *context.memory


class PredictStep(nn.Module):
    """One step of the future, from the states and memory before it to those after it."""

    def __init__(self, model: FramePredictor, context: Context, *, size: tuple[int, int]):
        super().__init__()
        self.model, self.decoder = model, model.decoder
        self.context_size, self.size = (context.height, context.width), size
        self.levels = len(context.states)
        self.changed: list[int] | None = None
        """Numbers of the tensors that a step changes; all are returned if None."""

    def forward(self, latent: Tensor, time: Tensor, *given: Tensor) -> tuple[Tensor, ...]:
        """(The frame at this time, 0 being the first; what has changed of the states and of the memory).

        `given` are the states and the memory, and before them the action of a model that follows actions.
        """
        carried = list(given)
        action = None
        if self.model.shape.actions:
            action = self.model.embed_actions(carried.pop(0)[:, None], steps=1)
        height, width = self.context_size
        frame, states_after, memory = self.decoder.step(
            latent,
            time=time,
            height=height,
            width=width,
            states=carried[: self.levels],
            memory=tuple(carried[self.levels :]),
            action=action,
        )
        after = (*states_after, *memory)
        changed = range(len(after)) if self.changed is None else self.changed
        height, width = self.size
        return frame[..., :height, :width], *(after[number] for number in changed)


class PredictFuture(nn.Module):
    """A whole future of a fixed number of steps."""

    def __init__(self, model: FramePredictor, *, steps: int):
        super().__init__()
        self.model, self.steps = model, steps

    def forward(self, past: Tensor, latent: Tensor) -> tuple[Tensor]:
        """One future for each past and latent."""
        return (self.model(past, latent, steps=self.steps),)


class GenerateClip(nn.Module):
    """A whole clip from noise, of a fixed number of steps."""

    def __init__(self, model: VideoGenerator, *, steps: int):
        super().__init__()
        self.model, self.steps = model, steps

    def forward(self, latent: Tensor, label: Tensor | None = None) -> tuple[Tensor]:
        """One clip for each latent and label."""
        return (self.model(latent, label, steps=self.steps),)


class TranslateClip(nn.Module):
    """A clip of a fixed number of frames from a clip."""

    def __init__(self, model: ClipTranslator):
        super().__init__()
        self.model = model

    def forward(self, source: Tensor, known: Tensor | None = None) -> tuple[Tensor]:
        """One target for each source."""
        return (self.model(source, known),)


def build_predictor_graphs(
    model: FramePredictor, *, height: int | None = None, width: int | None = None, steps: int | None = None
) -> list[Graph]:
    """The graphs `encode` and `step` of a predictor, or `predict` if its output gives all frames of a future at once.

    Height and width of the frames, in pixels, and the number of steps of a future that comes as a whole are those of
    the training where they are None.
    """
    shape = model.shape
    height, width = height or shape.height, width or shape.width
    random = torch.Generator().manual_seed(0)
    frames = torch.rand(1, shape.context_frames, shape.channels, height, width, generator=random) * 2 - 1
    past = Port("past", frames, dynamic=(), meaning=f"past frames of one film, {FRAMES}")
    noise = torch.randn(DYNAMIC_SIZE, model.config.latent_dim, generator=random)
    latent = Port("latent", noise, meaning=LATENT)
    if not model.decoder.output.yields_frames:
        network = PredictFuture(model, steps=steps or shape.clip_frames - shape.context_frames)
        return [infer_outputs("predict", network, (past, latent), ["frames"], MEANINGS)]
    with torch.no_grad():
        context = model.encode(frames)
    names = [f"state_{number}" for number in range(len(context.states) + len(context.memory))]
    encode = infer_outputs("encode", EncodePast(model), (past,), names, {}, dynamic=dict.fromkeys(names, ()))
    states = [Port(each.name, each.example.repeat_interleave(DYNAMIC_SIZE, 0)) for each in encode.outputs]
    time = Port("time", torch.tensor(1), dynamic=(), meaning="number of the frame in the future, 0 for the first")
    step, before = PredictStep(model, context, size=(height, width)), [each.example for each in states]
    actions = []
    if shape.actions:
        chosen = torch.randn(DYNAMIC_SIZE, shape.actions, generator=random)
        actions = [Port("action", chosen, meaning="the action that leads to this frame")]
    with torch.no_grad():
        _, *after = step(noise, time.example, *(each.example for each in actions), *before)
    step.changed = [number for number, pair in enumerate(zip(before, after, strict=True)) if pair[0] is not pair[1]]
    changed = ["frame", *(f"next_{names[number]}" for number in step.changed)]
    return [encode, infer_outputs("step", step, (latent, time, *actions, *states), changed, MEANINGS)]


def build_generator_graphs(model: VideoGenerator, *, steps: int | None = None) -> list[Graph]:
    """The graph `generate` of a generator: a clip of `steps` frames (None: as trained) from a latent and a class."""
    noise = model.draw_latents(SampleRandom(0), DYNAMIC_SIZE, 1, steps=steps)[:, 0]
    inputs = [Port("latent", noise, meaning="numbers from N(0, 1)")]
    if model.embedding is not None:
        names = ", ".join(f"{number} {name}" for number, name in enumerate(model.shape.classes))
        inputs.append(Port("label", torch.arange(DYNAMIC_SIZE) % len(model.shape.classes), meaning=f"class: {names}"))
    network = GenerateClip(model, steps=steps or model.shape.clip_frames)
    return [infer_outputs("generate", network, tuple(inputs), ["frames"], MEANINGS)]


def build_translator_graphs(
    model: ClipTranslator, *, height: int | None = None, width: int | None = None, steps: int | None = None
) -> list[Graph]:
    """The graph `translate` of a translator: a clip of `steps` source frames of this size, in pixels, to its target.

    All three are those of the training where they are None.
    """
    shape = model.shape
    steps = steps or shape.clip_frames
    height, width = height or shape.height // shape.scale, width or shape.width // shape.scale
    random = torch.Generator().manual_seed(0)
    frames = torch.rand(DYNAMIC_SIZE, steps, shape.channels, height, width, generator=random) * 2 - 1
    inputs = [Port("source", frames, meaning=FRAMES)]
    if shape.masked:
        known = torch.rand(DYNAMIC_SIZE, steps, 1, height, width, generator=random) > 0.2
        inputs.append(Port("known", known, meaning="where the source can be relied on"))
    return [infer_outputs("translate", TranslateClip(model), tuple(inputs), ["target"], MEANINGS)]
