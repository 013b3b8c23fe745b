"""How much a discriminator has learnt of classes that nobody told it: a linear SVM on its responses (3D-GAN)."""

import json
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
from gancore.parsing import from_dict
from voxgan.config import VoxelDiscriminatorConfig, VoxelShape
from voxgan.data.packed import PackedDataset
from voxgan.evaluation.baselines import load_occupancies
from voxgan.networks.discriminator import VoxelDiscriminator

POOLED_SIDE = 2
"""Side that every map is pooled to: by 8, 4 and 2 from the 16, 8 and 4 voxels of the paper."""
NUM_MAPS = 3
"""The last maps count, which at 64 voxels a side are the paper's conv2, conv3 and conv4."""
VOXEL_SIDE = 8
"""Side of the voxels that the rival without a network sees."""
SVM_STRENGTHS = (1e-4, 1e-3, 1e-2)
"""C of the SVM, of which validation objects choose one; without such it is 1e-2."""
BATCH = 16

Features = Float[Tensor, "objects numbers"]

CONVENTIONS = {
    "features": f"The discriminator's last {NUM_MAPS} hidden maps (conv2, conv3, conv4 at 64 voxels a side), each "
    f"max-pooled to {POOLED_SIDE}^3 and concatenated; untold of classes.",
    "classifier": "Linear SVM, one class against the rest, on features scaled to unit variance, fitted to the training "
    "objects with a class; its C is the one best on the validation objects, else 0.01.",
    "untrained discriminator": "The same network with weights as training began with; what the architecture gives.",
    "voxels": f"The occupancy averaged to {VOXEL_SIDE}^3 in place of features.",
    "most frequent class": "Always the class with most training objects.",
}


def probe_discriminator(
    run: str | Path,
    packed: PackedDataset,
    *,
    train: Sequence[int],
    val: Sequence[int],
    test: Sequence[int],
    seed: int = 0,
) -> dict[str, Any]:
    """Accuracy on the test objects by the features of the run's discriminator and by its rivals, and the protocol.

    Raises ValueError if the run has no discriminator that fits, or there are no two classes to tell apart.
    """
    train, val, test = ([n for n in part if packed.objects[n].label] for part in (train, val, test))
    if len({packed.objects[n].label for n in train}) < 2 or not test:
        raise ValueError(f"{packed.folder} has no two classes to be told apart by the discriminator of {run}")
    settings = read_settings(Path(run))
    trained, fresh = load_discriminators(Path(run), settings.config, side=packed.side, seed=seed)
    kinds: dict[str, Callable[[Tensor], Features]] = {
        "discriminator": lambda objects: pooled_responses(trained, objects),
        "untrained discriminator": lambda objects: pooled_responses(fresh, objects),
        "voxels": lambda objects: adaptive_avg_pool3d(objects[:, None], VOXEL_SIDE).flatten(1),
    }
    parts = {"train": train, "val": val, "test": test}
    labels = {name: np.array([packed.objects[n].label for n in indices]) for name, indices in parts.items()}
    scores = {}
    for name, kind in kinds.items():
        features = {part: extract_features(kind, packed, indices) for part, indices in parts.items()}
        scores[name] = svm_accuracy(features, labels, seed=seed)
    usual = max(sorted(set(labels["train"])), key=lambda label: int((labels["train"] == label).sum()))
    scores["most frequent class"] = {"accuracy": float((labels["test"] == usual).mean())}
    return {
        "objects": len(test),
        "training objects": len(train),
        "classes": len(set(labels["train"])),
        "discriminator trained on": settings.trained_on,
        "conventions": CONVENTIONS,
        "scores": scores,
    }


@dataclass(frozen=True)
class DiscriminatorSettings:
    """What a run's settings say of its discriminator."""

    config: VoxelDiscriminatorConfig
    trained_on: str
    """The objects that it saw."""


def read_settings(run: Path) -> DiscriminatorSettings:
    """See Trained. Raises ValueError if the folder is none of a voxel run."""
    try:
        settings = json.loads((run / "config.json").read_text(encoding="utf-8"))
        data = settings["data"]
        on = f"{Path(data['source']).name}: {', '.join(data['classes']) or 'all classes'}"
        return DiscriminatorSettings(from_dict(VoxelDiscriminatorConfig, settings["discriminator"]), on)
    except OSError as error:
        raise ValueError(f"{run} is no folder of a run (runs/NAME): it has no config.json") from error
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{run / 'config.json'} holds no settings of a voxel run: {error}") from error


def load_discriminators(
    run: Path, config: VoxelDiscriminatorConfig, *, side: int, seed: int
) -> tuple[VoxelDiscriminator, VoxelDiscriminator]:
    """The run's discriminator as its newest checkpoint has it, and one with fresh weights; in eval mode.

    Raises ValueError if there is no checkpoint, or its objects are of another size.
    """
    newest = checkpoint.find_latest(run)
    if newest is None:
        raise ValueError(f"{run} holds no checkpoint, and so no discriminator")
    state = checkpoint.load(newest)[1]["discriminator"]
    told = len(state["projection.weight"]) - 1 if "projection.weight" in state else 0
    shape = VoxelShape(side=side, classes=tuple(map(str, range(told))))
    made = []
    for weights in (state, None):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            network = VoxelDiscriminator(config, shape)
        if weights is not None:
            checkpoint.load_into(network, weights, f"the discriminator of {newest}, for {side} voxels a side,")
        made.append(network.eval())
    return made[0], made[1]


def pooled_responses(network: VoxelDiscriminator, objects: Float[Tensor, "objects x y z"]) -> Features:
    """What the network makes of objects before it judges them."""
    maps = network.feature_maps(objects)[-NUM_MAPS:]
    return torch.cat([adaptive_max_pool3d(each, POOLED_SIDE).flatten(1) for each in maps], 1)


def extract_features(
    kind: Callable[[Tensor], Features], packed: PackedDataset, indices: Sequence[int]
) -> Float[np.ndarray, "objects numbers"]:
    """The features of the objects, some at a time."""
    rows = []
    with torch.inference_mode():
        for first in tqdm(range(0, len(indices), BATCH), unit="batch", leave=False):
            rows.append(kind(load_occupancies(packed, indices[first : first + BATCH]).float()).numpy())
    return np.concatenate(rows) if rows else np.empty((0, 0), np.float32)


def svm_accuracy(features: dict[str, np.ndarray], labels: dict[str, np.ndarray], *, seed: int) -> dict[str, float]:
    """The share of test objects, and the mean over classes, whose class is found; and the C that was chosen."""
    chosen = 1e-2
    if len(labels["val"]):
        fits = {c: fit_svm(features["train"], labels["train"], c, seed=seed) for c in SVM_STRENGTHS}
        chosen = max(SVM_STRENGTHS, key=lambda c: float((fits[c].predict(features["val"]) == labels["val"]).mean()))
    right = fit_svm(features["train"], labels["train"], chosen, seed=seed).predict(features["test"]) == labels["test"]
    by_class = [right[labels["test"] == label].mean() for label in sorted(set(labels["test"]))]
    return {"accuracy": float(right.mean()), "class mean": float(np.mean(by_class)), "C": chosen}


def fit_svm(features: np.ndarray, labels: np.ndarray, strength: float, *, seed: int) -> Any:
    """The SVM of these features."""
    svm = make_pipeline(StandardScaler(), LinearSVC(C=strength, tol=1e-3, max_iter=20_000, random_state=seed))
    return svm.fit(features, labels)
