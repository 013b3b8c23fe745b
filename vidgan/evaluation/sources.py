"""Opens the clips and models that an evaluation's settings name, and checks that they fit each other."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from gancore.data import evenly_spaced
from gancore.device import select_device
from gancore.files.reading import MAX_SETTINGS_BYTES, read_json
from gancore.model_files import find_model
from gancore.parsing import from_dict, to_dict
from vidgan.commands import EvaluateConfig
from vidgan.config import VideoConfig
from vidgan.data.dataset import open_dataset
from vidgan.data.degraded_pasts import degrade_pasts
from vidgan.data_config import VideoDataConfig
from vidgan.evaluation.actions import OtherActions, borrow_actions
from vidgan.evaluation.methods import ClipMethod, EvaluationSet, FileMethod, GroundTruth, ModelMethod, load_model
from vidgan.evaluation.pasts import OtherPast, give_true_past, restore_past
from vidgan.evaluation.predictions import ClipFiles, format_shape, open_ground_truth, open_predictions
from vidgan.evaluation.report import CLEAN_PAST, SHUFFLED_ACTIONS, TRUE_ACTIONS
from vidgan.evaluation.restorer import open_restorer
from vidgan.networks.generator import FramePredictor
from vidgan.objective import VideoModel

DEFAULT_CLIPS = 256
"""Clips of a data set that are measured unless told otherwise."""


def read_run_defaults(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return defaults of an EvaluateConfig: the data settings of the run that the model lies in, if it lies in one.

    Args:
        given: What flags and files set, by dotted key; only "model" is looked at.
    """
    run = read_run_config(str(given.get("model") or ""))
    return {"data": to_dict(run.data)} if run else {}


def read_run_config(model: str) -> VideoConfig | None:
    """Return the settings of the run that a model was trained in; None unless its folder lies in that of a run.

    Raises ValueError if there is no such model, or the settings cannot be read.
    """
    if not model:
        return None
    path = Path(find_model(model)).parent / "config.json"
    if not (Path(model).is_dir() and path.is_file()):
        return None
    try:
        return from_dict(VideoConfig, read_json(path, kind="settings", max_bytes=MAX_SETTINGS_BYTES))
    except ValueError as error:
        raise ValueError(f"{path} does not hold the settings of a video run: {error}") from error


def open_evaluation_set(config: EvaluateConfig) -> EvaluationSet:
    """Open the true clips and the methods. Raises ValueError or OSError if they cannot be read or do not fit."""
    return open_from_files(config) if config.ground_truth else open_from_data(config)


def open_from_data(config: EvaluateConfig) -> EvaluationSet:
    """Open a model, and clips of the data set that it was trained on or of another one."""
    assert config.model is not None
    device = select_device(cpu=config.cpu)
    model = load_model(config.model).to(device)
    data = config.measured_data
    check_compatible(model, data, name=config.model)
    dataset = degrade_pasts(open_dataset(data, split=config.split), data, train=False)
    predicts = isinstance(model, FramePredictor)
    if not predicts and len(model.shape.classes) not in (0, len(dataset.classes)):
        raise ValueError(
            f"{config.model} generates clips of {len(model.shape.classes)} classes, and {config.data.path} has "
            f"{len(dataset.classes)}: give --data.class_conditional and the data that it was trained on"
        )
    indices = tuple(evenly_spaced(len(dataset), count=config.max_items or DEFAULT_CLIPS))
    method = ModelMethod(
        model=model,
        samples=config.samples if predicts else 1,
        seed=config.seed,
        total_clips=len(indices),
        truncation=config.truncation,
    )
    methods: list[ClipMethod] = [method]
    if data.past_degradations:
        methods = open_past_methods(config, method)
    elif model.shape.actions:
        methods = open_action_methods(method, dataset, indices, seed=config.seed)
    return EvaluationSet(
        ground_truth=dataset,
        indices=indices,
        context_frames=config.data.context_frames,
        methods={each.name: each for each in methods},
        seed=config.seed,
        device=device,
        paired=predicts,
    )


def open_past_methods(config: EvaluateConfig, method: ModelMethod) -> list[ClipMethod]:
    """Open what is measured on spoilt pasts: the model as it is and after a restorer, and one that was trained on them.

    The model on the clean past comes last. All draw the same latents.
    """
    device, data = next(method.model.parameters()).device, config.measured_data
    methods: list[ClipMethod] = [replace(method, name="spoilt past")]
    if config.restorer:
        restorer = open_restorer(config.restorer, channels=data.channels, device=device)
        restored = OtherPast(name="restored past", method=method, change=partial(restore_past, restorer))
        methods.append(restored)
    if config.spoilt_model:
        other = load_model(config.spoilt_model).to(device)
        if not isinstance(other, FramePredictor):
            raise ValueError(f"spoilt_model: {config.spoilt_model} generates whole clips, and does not predict")
        check_compatible(other, data, name=config.spoilt_model)
        methods.append(replace(method, name="trained on spoilt pasts", model=other))
    return [*methods, OtherPast(name=CLEAN_PAST, method=method, change=give_true_past)]


def open_action_methods(
    method: ModelMethod, clips: GroundTruth, indices: tuple[int, ...], *, seed: int
) -> list[ClipMethod]:
    """Open a model that follows actions: given those of each clip, and given those of another, for comparison.

    Raises ValueError if there are fewer than two clips.
    """
    if len(indices) < 2:
        raise ValueError("actions are exchanged between clips, of which two are needed at least")
    borrow = partial(borrow_actions, clips, indices, seed)
    other = OtherActions(name=SHUFFLED_ACTIONS, method=method, actions=borrow)
    return [replace(method, name=TRUE_ACTIONS), other]


def check_compatible(model: VideoModel, data: VideoDataConfig, *, name: str) -> None:
    """Raise ValueError if clips cut by these settings cannot be predicted, or be generated, by the model.

    Args:
        model: A predictor or a generator.
        data: Settings of the clips that it will be measured on.
        name: What messages call the model.
    """
    if model.shape.actions and model.shape.actions != data.actions:
        raise ValueError(
            f"data.actions is {data.actions}, and {name} was trained on actions of {model.shape.actions} numbers"
        )
    if model.shape.channels != data.channels:
        raise ValueError(f"data.channels is {data.channels}, and {name} was trained on {model.shape.channels}")
    if isinstance(model, FramePredictor):
        if not data.context_frames:
            raise ValueError(f"data.context_frames is 0, and {name} predicts: without a past it has nothing to go on")
        return
    if data.context_frames:
        raise ValueError(f"data.context_frames is {data.context_frames}, and {name} generates whole clips: set it to 0")
    if (model.shape.height, model.shape.width) != (data.height, data.width):
        raise ValueError(
            f"data.height and data.width are {data.height} and {data.width}, and {name} generates clips of "
            f"{model.shape.height}x{model.shape.width}"
        )


def open_from_files(config: EvaluateConfig) -> EvaluationSet:
    """Open the true clips and the clips of another tool, and a model as well if one is given."""
    assert config.ground_truth is not None
    assert config.predictions is not None
    device = select_device(cpu=config.cpu)
    true = open_ground_truth(
        config.ground_truth, context_frames=config.context_frames, channels=config.channels, limits=config.data
    )
    if config.unpaired:
        return open_unpaired(config, true, device)
    files = open_predictions(config.predictions, true, context_frames=config.context_frames, limits=config.data)
    indices = tuple(evenly_spaced(len(true), count=config.max_items))
    methods: list[ClipMethod] = []
    if config.model:
        model = FramePredictor.from_pretrained(config.model).to(device)
        if not config.context_frames:
            raise ValueError("context_frames is 0: a model that predicts the clips of ground_truth needs a past")
        if model.shape.actions:
            raise ValueError(f"{config.model} follows actions, which files have none of: measure it on its data")
        if model.shape.channels != true.channels:
            raise ValueError(
                f"{config.ground_truth} is read in {true.channels} channels, and {config.model} was trained on "
                f"{model.shape.channels}: give --channels"
            )
        methods.append(
            ModelMethod(
                model=model,
                samples=config.samples,
                seed=config.seed,
                total_clips=len(indices),
                truncation=config.truncation,
            )
        )
    methods.append(FileMethod(predictions=files, indices=indices))
    return EvaluationSet(
        ground_truth=true,
        indices=indices,
        context_frames=config.context_frames,
        methods={method.name: method for method in methods},
        seed=config.seed,
        device=device,
    )


def open_unpaired(config: EvaluateConfig, true: ClipFiles, device: torch.device) -> EvaluationSet:
    """Open equally many generated and true clips, evenly spaced over the larger set."""
    assert config.predictions is not None
    generated = open_ground_truth(config.predictions, channels=true.channels, limits=config.data)
    if generated.shape != true.shape:
        raise ValueError(
            f"{config.predictions} has clips of {format_shape(generated.shape)}, and {config.ground_truth} of "
            f"{format_shape(true.shape)}: sets that are compared have clips of one shape"
        )
    count = min(len(generated), len(true), config.max_items or len(true))
    method = FileMethod(
        predictions=generated.as_predictions(), indices=tuple(evenly_spaced(len(generated), count=count))
    )
    return EvaluationSet(
        ground_truth=true,
        indices=tuple(evenly_spaced(len(true), count=count)),
        context_frames=0,
        methods={method.name: method},
        seed=config.seed,
        device=device,
        paired=False,
    )
