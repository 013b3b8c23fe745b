"""Linear probe of a discriminator: classifies objects by its features with a linear SVM (3D-GAN, Wu et al. 2016)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.utils import tqdm
from jaxtyping import Float
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool3d, adaptive_max_pool3d

from gancore import checkpoint
from gancore.files.reading import MAX_SETTINGS_BYTES, read_json
from gancore.parsing import from_dict
from voxgan.config import VoxelConfig, VoxelDiscriminatorConfig, VoxelShape
from voxgan.data.packed import PackedDataset
from voxgan.evaluation.baselines import load_fractions
from voxgan.evaluation.report import ProbeReport, Scores
from voxgan.networks.discriminator import VoxelDiscriminator

POOLED_SIDE = 2
"""Side that every feature map is max-pooled to; the paper pools maps of 16, 8 and 4 voxels by 8, 4 and 2."""
NUM_MAPS = 3
"""Number of last feature maps that are used; at 64 voxels a side they are the paper's conv2, conv3 and conv4."""
VOXEL_SIDE = 8
"""Side of the averaged voxels that are the features of the baseline without a network."""
SVM_STRENGTHS = (1e-4, 1e-3, 1e-2)
"""Candidate values of C of the SVM, chosen on validation objects; without them, C is 1e-2."""
BATCH = 16

Features = Float[Tensor, "objects numbers"]

CONVENTIONS = {
    "features": f"The discriminator's last {NUM_MAPS} hidden maps (conv2, conv3, conv4 at 64 voxels a side), each "
    f"max-pooled to {POOLED_SIDE}^3 and concatenated; trained without classes.",
    "classifier": "Linear SVM, one class against the rest, on features scaled to unit variance, fitted to the training "
    "objects with a class; C is chosen on the validation objects, else 0.01.",
    "untrained discriminator": "The same network with its initial weights: what the architecture alone gives.",
    "voxels": f"The occupancy averaged to {VOXEL_SIDE}^3 in place of features.",
    "most frequent class": "Always the class with most training objects.",
}


def probe_discriminator(
    run: Path,
    packed: PackedDataset,
    *,
    train: Sequence[int],
    val: Sequence[int],
    test: Sequence[int],
    seed: int = 0,
) -> ProbeReport:
    """Classify test objects by the features of the run's discriminator, and by baselines.

    Args:
        run: Folder of a voxel run.
        packed: The data set.
        train: Objects to fit the SVM to; objects without a class are left out of all three sets.
        val: Objects to choose C on.
        test: Objects to classify.
        seed: Seed of the untrained discriminator and of the SVM.

    Raises:
        ValueError: The run has no discriminator for objects of this side, or there are fewer than two classes.
    """
    train, val, test = ([n for n in part if packed.objects[n].label] for part in (train, val, test))
    if len({packed.objects[n].label for n in train}) < 2 or not test:
        raise ValueError(f"{packed.folder} has fewer than two classes to probe the discriminator of {run} with")
    settings = read_settings(run)
    trained, fresh = load_discriminators(run, settings.config, side=packed.side, seed=seed)
    kinds: dict[str, Callable[[Tensor], Features]] = {
        "discriminator": lambda objects: pooled_responses(trained, objects),
        "untrained discriminator": lambda objects: pooled_responses(fresh, objects),
        "voxels": lambda objects: adaptive_avg_pool3d(objects[:, None], VOXEL_SIDE).flatten(1),
    }
    parts = {"train": train, "val": val, "test": test}
    labels = {name: np.array([packed.objects[n].label for n in indices]) for name, indices in parts.items()}
    scores: Scores = {}
    for name, kind in kinds.items():
        features = {part: extract_features(kind, packed, indices) for part, indices in parts.items()}
        scores[name] = svm_accuracy(features, labels, seed=seed)
    usual = max(sorted(set(labels["train"])), key=lambda label: int((labels["train"] == label).sum()))
    scores["most frequent class"] = {"accuracy": float((labels["test"] == usual).mean())}
    return ProbeReport(
        objects=len(test),
        training_objects=len(train),
        classes=len(set(labels["train"])),
        discriminator_trained_on=settings.trained_on,
        conventions=CONVENTIONS,
        scores=scores,
    )


@dataclass(frozen=True)
class DiscriminatorSettings:
    """The settings of a run's discriminator."""

    config: VoxelDiscriminatorConfig
    trained_on: str
    """Name of the data set and its classes."""


def read_settings(run: Path) -> DiscriminatorSettings:
    """Read the settings of the discriminator. Raises ValueError if the folder is not that of a voxel run."""
    try:
        config = from_dict(VoxelConfig, read_json(run / "config.json", max_bytes=MAX_SETTINGS_BYTES))
    except OSError as error:
        raise ValueError(f"{run} is not the folder of a run (runs/NAME): it has no config.json") from error
    except ValueError as error:
        raise ValueError(f"{run / 'config.json'} holds no settings of a voxel run: {error}") from error
    data = f"{Path(config.data.path).name}: {', '.join(config.data.classes) or 'all classes'}"
    return DiscriminatorSettings(config.discriminator, data)


def load_discriminators(
    run: Path, config: VoxelDiscriminatorConfig, *, side: int, seed: int
) -> tuple[VoxelDiscriminator, VoxelDiscriminator]:
    """Load the discriminator of the run's newest checkpoint, and build one with fresh weights; both in eval mode.

    Raises ValueError if there is no checkpoint, or its objects are of another size.
    """
    newest = checkpoint.find_latest(run)
    if newest is None:
        raise ValueError(f"{run} holds no checkpoint, which the discriminator is read from")
    state = checkpoint.load(newest)[1]["discriminator"]
    classes = len(state["projection.weight"]) - 1 if "projection.weight" in state else 0
    shape = VoxelShape(side=side, classes=tuple(map(str, range(classes))))
    networks = []
    for weights in (state, None):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            network = VoxelDiscriminator(config, shape)
        if weights is not None:
            checkpoint.load_into(network, weights, f"the discriminator of {newest}, for {side} voxels a side,")
        networks.append(network.eval())
    return networks[0], networks[1]


def pooled_responses(network: VoxelDiscriminator, objects: Float[Tensor, "objects x y z"]) -> Features:
    """Compute the network's last feature maps of objects, max-pooled and concatenated."""
    maps = network.feature_maps(objects)[-NUM_MAPS:]
    return torch.cat([adaptive_max_pool3d(each, POOLED_SIDE).flatten(1) for each in maps], 1)


def extract_features(
    features: Callable[[Tensor], Features], packed: PackedDataset, indices: Sequence[int]
) -> Float[np.ndarray, "objects numbers"]:
    """Compute the features of objects, BATCH at a time."""
    rows = []
    with torch.inference_mode():
        for first in tqdm(range(0, len(indices), BATCH), unit="batch", leave=False):
            rows.append(features(load_fractions(packed, indices[first : first + BATCH])).numpy())
    return np.concatenate(rows) if rows else np.empty((0, 0), np.float32)


def svm_accuracy(
    features: dict[str, np.ndarray], labels: dict[str, np.ndarray], *, seed: int
) -> dict[str, float | int]:
    """Compute the accuracy on test objects, over all objects and as a mean over classes, and return the chosen C."""
    chosen = 1e-2
    if len(labels["val"]):
        fits = {c: fit_svm(features["train"], labels["train"], c, seed=seed) for c in SVM_STRENGTHS}
        chosen = max(SVM_STRENGTHS, key=lambda c: float((fits[c].predict(features["val"]) == labels["val"]).mean()))
    right = fit_svm(features["train"], labels["train"], chosen, seed=seed).predict(features["test"]) == labels["test"]
    by_class = [right[labels["test"] == label].mean() for label in sorted(set(labels["test"]))]
    return {"accuracy": float(right.mean()), "class_mean": float(np.mean(by_class)), "svm_c": chosen}


def fit_svm(features: np.ndarray, labels: np.ndarray, strength: float, *, seed: int) -> Any:
    """Fit the SVM to features and labels."""
    svm = make_pipeline(StandardScaler(), LinearSVC(C=strength, tol=1e-3, max_iter=20_000, random_state=seed))
    return svm.fit(features, labels)
