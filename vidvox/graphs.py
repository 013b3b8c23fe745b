"""The graphs of any model that can be exported, and the instructions for using them."""

from collections.abc import Mapping, Sequence
from typing import Any

from gancore.graphs import Graph
from gancore.model_files import describe_writer
from vidgan.graphs import build_generator_graphs, build_predictor_graphs, build_translator_graphs
from vidgan.networks.generator import FramePredictor, VideoGenerator
from vidgan.networks.translator import ClipTranslator
from vidvox.kinds import require_kind
from voxgan.graphs import build_graphs
from voxgan.networks.image_to_voxels import load_model

USES = {
    "step": "Run encode on the past frames, then step for time = 0, 1, 2, ... with the same latent. The first step "
    "takes the states that encode returns; in each later step, replace every state that the previous step returned as "
    "next_NAME. For several futures, repeat the states of encode along their first axis.",
    "predict": "One future for each latent.",
    "generate": "One clip for each latent.",
    "translate": "One target for each source clip. Cut a long video into overlapping windows, since the frames at the "
    "ends of a window are the least certain.",
    "encode": "Run encode on the pictures of each object, then decode on the mean, or on mean + exp(log_variance / 2) "
    "* noise. Extract the surface from the probabilities at a threshold of 0.25.",
    "decode": "Run decode on latents. Extract the surface from the probabilities at a threshold of 0.25.",
    "draw": "For objects from noise, run draw, then decode.",
}
"""Instructions for the graph of each name."""


def build_model_graphs(
    model: str, *, height: int | None = None, width: int | None = None, steps: int | None = None
) -> tuple[Sequence[Graph], Mapping[str, Any]]:
    """Load a model on the CPU, and return its graphs and the first entries of their description.

    Args:
        model: A run folder, a folder of a model, or the name of one on the Hub.
        height: Height in pixels of a predictor's frames or a translator's source frames; as trained if None.
        width: Their width in pixels; as trained if None.
        steps: Number of frames of graphs that make a whole clip; as trained if None.

    Raises:
        ValueError: There is no such model.
    """
    kind = require_kind(model)
    graphs: Sequence[Graph]
    if kind == "FramePredictor":
        graphs = build_predictor_graphs(FramePredictor.from_pretrained(model), height=height, width=width, steps=steps)
    elif kind == "VideoGenerator":
        graphs = build_generator_graphs(VideoGenerator.from_pretrained(model), steps=steps)
    elif kind == "ClipTranslator":
        translator = ClipTranslator.from_pretrained(model)
        graphs = build_translator_graphs(translator, height=height, width=width, steps=steps)
    else:
        graphs = build_graphs(load_model(model))
    names = {graph.name for graph in graphs}
    if "step" in names or ("decode" in names and "encode" in names):
        names -= {"encode", "decode"} if "step" in names else {"decode"}
    use = " ".join(text for name, text in USES.items() if name in names)
    return graphs, {"model": kind, **describe_writer(), "use": use}
