"""Measures a model of objects, or the objects of another tool, on objects held out from training."""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from gancore.device import select_device
from gancore.evaluation.published import PublishedTable
from gancore.parsing import to_dict
from gancore.reporting.page import Media, Mesh3D
from gancore.reporting.preference import PreferencePair
from gancore.reporting.provenance import collect_provenance
from voxgan.commands import EvaluateConfig
from voxgan.data.packed import PackedDataset
from voxgan.evaluation import probe
from voxgan.evaluation.galleries import (
    Shown,
    generated_meshes,
    reconstruction_media,
    reconstruction_meshes,
    show_generated,
    show_real,
    show_reconstructions,
    training_neighbour_media,
)
from voxgan.evaluation.generation import GeneratedObjects, evaluate_generation, open_generated
from voxgan.evaluation.methods import ModelMethod, ReconstructionMethod
from voxgan.evaluation.predictions import coordinate_frame, match_predictions
from voxgan.evaluation.published import published_classifications, published_reconstructions
from voxgan.evaluation.reconstruction import Reconstruction, choose_threshold, evaluate_reconstruction
from voxgan.evaluation.report import VoxelReport
from voxgan.evaluation.selection import MAX_VALIDATION, fingerprint_data, open_dataset, select_objects
from voxgan.evaluation.views import ViewSelection
from voxgan.networks.image_to_voxels import ImageToVoxels, VoxelModel, load_model, object_generator


class EvaluationResult(NamedTuple):
    """The measurements, and the media for the report page."""

    report: VoxelReport
    galleries: dict[str, list[Media]]
    """Animations by title; none unless there is a page to show them."""
    meshes: list[Mesh3D]
    """Interactive surfaces for the page."""
    pairs: list[PreferencePair]
    """Pairs for the rating page; none without one."""
    published: list[PublishedTable]
    """Published results on the same objects."""


@torch.inference_mode()
def evaluate(config: EvaluateConfig) -> EvaluationResult:
    """Measure reconstruction, generation and the discriminator's features, according to the settings.

    Raises ValueError or OSError if the model, the predictions or the data cannot be read or do not fit each other.
    """
    packed = open_dataset(config)
    model = load_matching_model(config.model, packed, config) if config.model else None
    generator = object_generator(model) if model else None
    test = select_objects(packed, config.split, count=config.max_items)
    probe_report = None
    if config.probe_run:  # first, so that a wrong folder is refused before minutes of work
        probe_report = probe.probe_discriminator(
            config.probe_run,
            packed,
            train=select_objects(packed, "train"),
            val=select_objects(packed, "val", count=MAX_VALIDATION),
            test=test,
            seed=config.seed,
        )
    selection = ViewSelection(packed, config.views, config.view_draws, config.seed)
    method = build_method(model, selection, config)
    reconstruction = evaluate_reconstruction(method, selection, config) if method else None
    generated = None
    if config.generated_objects and (model or config.unpaired):
        generated = open_generated(generator, packed, config)

    galleries: dict[str, list[Media]] = {}
    meshes: list[Mesh3D] = []
    if config.out and method and reconstruction:
        galleries |= reconstruction_media(method, selection, reconstruction)
        meshes += reconstruction_meshes(method, selection, reconstruction)
    if config.out and generated:
        title = "Generated objects and the training objects most like them"
        galleries[title] = training_neighbour_media(generated, packed, train=select_objects(packed, "train"))
        meshes += generated_meshes(generated)
    published = published_reconstructions(packed, test) if reconstruction else []
    if probe_report:
        published += published_classifications(packed, test)
    report = VoxelReport(
        settings=to_dict(config),
        side=packed.side,
        reconstruction=reconstruction.report if reconstruction else None,
        generation=evaluate_generation(generated, packed, config, generator=generator) if generated else None,
        probe=probe_report,
        provenance=collect_provenance(
            seed=config.seed,
            data=fingerprint_data(packed, config),
            device=next(model.parameters()).device if model else "cpu",
        ),
    )
    pairs = build_pairs(config, selection, method, reconstruction, generated) if config.rating_page else []
    return EvaluationResult(report, galleries, meshes, pairs, published)


def load_matching_model(name: str, packed: PackedDataset, config: EvaluateConfig) -> VoxelModel:
    """Load a model onto the device of the evaluation.

    Raises ValueError if its side is no multiple of the data set's, or it cannot be given the data set's classes.
    """
    model = load_model(name)
    if model.shape.side % packed.side:
        raise ValueError(
            f"{config.data} has objects of {packed.side} voxels a side, and {name} generates {model.shape.side}"
        )
    if config.class_conditional and isinstance(model, ImageToVoxels):
        for label in packed.classes:
            model.check_label(label)
    return model.to(select_device(cpu=config.cpu))


def build_method(
    model: VoxelModel | None, selection: ViewSelection, config: EvaluateConfig
) -> ReconstructionMethod | None:
    """Return the reconstruction method: a model with an encoder, or the files of another tool; None without either."""
    if isinstance(model, ImageToVoxels):
        return ModelMethod(
            model=model, selection=selection, batch=config.batch, class_conditional=config.class_conditional
        )
    if config.predictions and not config.unpaired:
        return match_predictions(
            config.predictions, selection.packed, frame=coordinate_frame(config), on_missing=config.on_missing
        )
    return None


# --------------------------------------------------------------------------------------------------- preference study


def build_pairs(
    config: EvaluateConfig,
    selection: ViewSelection,
    method: ReconstructionMethod | None,
    reconstruction: Reconstruction | None,
    generated: GeneratedObjects | None,
) -> list[PreferencePair]:
    """Pair reconstructed objects, or generated ones, with the real ones or with those of the baseline model.

    Raises ValueError if both models do not show the same objects.
    """
    packed, name = selection.packed, config.model or str(config.predictions)
    if method and reconstruction:
        indices = reconstruction.indices
        threshold = float(reconstruction.report.threshold)
        ours = show_reconstructions(method, packed, indices, threshold=threshold, name=name, count=config.rating_pairs)
    elif generated:
        indices, ours = generated.real, show_generated(generated, packed, name=name, count=config.rating_pairs)
    else:
        return []
    if config.baseline_model is None:
        theirs = show_real(packed, indices, count=config.rating_pairs)
    else:
        theirs = show_model(config.baseline_model, selection, config)
    return match_shown(ours, theirs, names=(name, config.baseline_model or "the data set"))


def show_model(name: str, selection: ViewSelection, config: EvaluateConfig) -> list[Shown]:
    """Show the objects that another model reconstructs from the same pictures, or generates from the same noise."""
    packed, model = selection.packed, load_matching_model(name, selection.packed, config)
    method = build_method(model, selection, config)
    if method:
        return show_reconstructions(
            method,
            packed,
            select_objects(packed, config.split, count=config.max_items, pictures=True),
            threshold=choose_threshold(method, packed, pictures=True)[0],
            name=name,
            count=config.rating_pairs,
        )
    if not config.generated_objects:
        return []
    generated = open_generated(object_generator(model), packed, config)
    return show_generated(generated, packed, name=name, count=config.rating_pairs)


def match_shown(ours: Sequence[Shown], theirs: Sequence[Shown], *, names: tuple[str, str]) -> list[PreferencePair]:
    """Pair two lists of shown objects. Raises ValueError if they do not show the same objects."""
    if [shown.object_id for shown in ours] != [shown.object_id for shown in theirs]:
        raise ValueError(f"{names[0]} and {names[1]} do not show the same objects")
    return [PreferencePair(a.object_id, a.media, b.media) for a, b in zip(ours, theirs, strict=True)]
