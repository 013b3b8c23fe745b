"""Classifies clips by network features: accuracy lost to degradations, and regained by restoration."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

import numpy as np
import torch
from accelerate.utils import tqdm
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from gancore.data import Sample, evenly_spaced
from gancore.device import select_device
from gancore.evaluation.transfer import RIDGE, build_classifier
from gancore.features.network import FeatureNetwork, to_rgb
from gancore.parsing import to_dict
from gancore.reporting.provenance import DataFingerprint, collect_provenance
from gancore.rng import derive_seed
from gancore.splits import has_prefix
from vidgan.commands import RecogniseConfig
from vidgan.data.dataset import Segment, VideoClipDataset, open_video_clips
from vidgan.degradations.kinds import degrade, scale_of_chain
from vidgan.evaluation.clip_sets import FRAMES_PER_CLIP
from vidgan.evaluation.networks import open_network
from vidgan.evaluation.recognition_report import Accuracy, Condition, RecognitionReport, summarise
from vidgan.evaluation.restorer import Restorer, open_restorer

Version = tuple[str, float, bool]
"""What was done to a clip: a degradation ("" for none), its severity, and whether it was restored."""
CLEAN: Version = ("", 0.0, False)


@dataclass(frozen=True)
class Fold:
    """Which clips the classifier learns from, and which it is tested on."""

    training: Bool[np.ndarray, " clips"]
    held_out: Bool[np.ndarray, " clips"]


@torch.inference_mode()
def recognise(config: RecogniseConfig) -> RecognitionReport:
    """Learn to tell the classes of clean clips, and try it on clean, spoilt and restored clips of held-out videos.

    Raises:
        ValueError, OSError: Clips, the restorer or weights cannot be read or do not fit each other, a degradation is
            unknown, or a class that is tested has no clip to learn from.
    """
    for name in config.degradations:
        if scale_of_chain(name) != 1:
            raise ValueError(f"degradations: {name} makes frames smaller; the features are those of one size")
    device = select_device(cpu=config.cpu)
    clips, folds = open_clips(config)
    network = open_network(config.network, device=device)
    if config.data.clip_frames < network.min_frames:
        raise ValueError(f"data.clip_frames: {network.name} needs clips of at least {network.min_frames} frames")
    restorer = open_restorer(config.restorer, channels=config.data.channels, device=device) if config.restorer else None
    tested = np.any([fold.held_out for fold in folds], axis=0)
    rows: defaultdict[Version, list[Float[np.ndarray, " features"]]] = defaultdict(list)
    labels, fingerprint = [], DataFingerprint()
    for number in tqdm(range(len(clips)), unit="clip", leave=False):
        frames, label = clips[Sample(number, derive_seed(config.seed, number))][:2]
        fingerprint.add(frames[None])
        labels.append(label)
        versions = list_versions(frames, config, number, restorer) if tested[number] else {CLEAN: frames}
        for version, row in zip(versions, compute_rows(network, torch.stack([*versions.values()])), strict=True):
            rows[version].append(row)
    accuracies = measure_accuracies(
        {version: np.stack(found) for version, found in rows.items()}, np.array(labels), folds, tested, clips.classes
    )

    def accuracy(name: str, severity: float) -> Accuracy:
        spoilt, restored = ((name, severity, each) for each in (False, True))
        return Accuracy(spoilt=accuracies[spoilt], restored=accuracies.get(restored))

    clean = accuracy("", 0.0)
    conditions = [
        Condition(degradation=name, severity=severity, accuracy=accuracy(name, severity))
        for name in config.degradations
        for severity in config.severities
    ]
    mean, relative = summarise(clean, conditions)
    counts = np.bincount(np.array(labels)[tested])
    return RecognitionReport(
        clean=clean,
        conditions=conditions,
        mean=mean,
        relative=relative,
        chance=float(counts.max() / counts.sum()),
        training_clips=round(float(np.mean([fold.training.sum() for fold in folds]))),
        held_out_clips=int(tested.sum()),
        classes=list(clips.classes),
        protocol={
            "data": to_dict(config.data),
            "degradations": config.degradations,
            "severities": config.severities,
            "restorer": config.restorer,
            "network": network.name,
            "held out in turn": config.rotate,
            "classifier": f"multinomial logistic regression of standardised features, ridge {RIDGE:g}",
        },
        provenance=collect_provenance(seed=config.seed, data=fingerprint.hexdigest(), device=device),
    )


def open_clips(config: RecogniseConfig) -> tuple[VideoClipDataset, list[Fold]]:
    """Open all clips, cut as held-out ones are, and say which are held out.

    Nothing is chosen by the validation split, so that it is tested on as well.
    """
    data = replace(config.data, class_conditional=True)
    prefixes = data.holdout_prefixes
    if config.rotate:  # all videos, in whichever part they are
        data = replace(data, holdout_prefixes=())
    parts = [open_video_clips(data, split=split) for split in ("train", "test", "val")]
    if parts[2].val_is_test:
        parts.pop()
    segments = [segment for part in parts for segment in part.segments]
    clips = VideoClipDataset(segments, parts[0].classes, data, split="test")
    numbers = np.diff(clips.cumulative_clips, prepend=0)
    if config.rotate:
        held_out = [find_prefixed(segments, prefix, prefixes) for prefix in prefixes]
    else:
        held_out = [np.arange(len(segments)) >= len(parts[0].segments)]
    return clips, [Fold(np.repeat(~each, numbers), np.repeat(each, numbers)) for each in held_out]


def find_prefixed(segments: Sequence[Segment], prefix: str, prefixes: Sequence[str]) -> Bool[np.ndarray, " segments"]:
    """Tell which file names begin with a prefix. Raises ValueError if none does, or one begins with another as well."""
    names = [PurePosixPath(segment.video.name).name for segment in segments]
    found = np.array([has_prefix(name, prefix) for name in names])
    if not found.any():
        raise ValueError(f"data.holdout_prefixes: no file name begins with {prefix}")
    for name in np.array(names)[found]:
        if len(fitting := [each for each in prefixes if has_prefix(name, each)]) > 1:
            raise ValueError(f"data.holdout_prefixes: {name} begins with {' and with '.join(fitting)}")
    return found


def list_versions(
    frames: UInt8[Tensor, "time channel height width"], config: RecogniseConfig, number: int, restorer: Restorer | None
) -> dict[Version, UInt8[Tensor, "time channel height width"]]:
    """Spoil a clip in every way, and restore the clean clip and each spoilt one if there is a restorer."""
    found = {CLEAN: frames}
    for name in config.degradations:
        for severity in config.severities:
            spoilt = degrade(frames, name, severity=severity, seed=derive_seed(config.seed, number, 1))
            found[name, severity, False] = spoilt.frames
    if restorer is not None:
        found |= {(*version[:2], True): restorer.translate(clip) for version, clip in found.items()}
    return found


def compute_rows(
    network: FeatureNetwork, clips: UInt8[Tensor, "clips time channel height width"]
) -> Iterator[Float[np.ndarray, " features"]]:
    """Compute the features of each clip; those of single frames are averaged over a few evenly spaced ones."""
    if network.per_frame:
        clips = clips[:, evenly_spaced(clips.shape[1], count=FRAMES_PER_CLIP)]
    for clip in clips.split(1):
        yield network(to_rgb(clip)).mean(0).double().numpy()


def measure_accuracies(
    rows: dict[Version, Float[np.ndarray, "_clips features"]],
    labels: Int[np.ndarray, " clips"],
    folds: Sequence[Fold],
    tested: Bool[np.ndarray, " clips"],
    classes: Sequence[str],
) -> dict[Version, float]:
    """Share of the held-out clips of all folds whose class is recognised, by what was done to them.

    Clean clips have a row each, spoilt ones only where they are tested. Raises ValueError if a class that is tested has
    no clip to learn from.
    """
    right: dict[Version, int] = dict.fromkeys(rows, 0)
    for fold in folds:
        if missing := set(labels[fold.held_out].tolist()) - set(labels[fold.training].tolist()):
            raise ValueError(f"there is no clip of the class {classes[min(missing)]} to learn from")
        if len(set(labels[fold.training].tolist())) < 2:
            raise ValueError(f"all clips to learn from are of the class {classes[labels[fold.training][0]]}")
        classifier = build_classifier()
        classifier.fit(rows[CLEAN][fold.training], labels[fold.training])
        for version, found in rows.items():
            which = fold.held_out if version == CLEAN else fold.held_out[tested]
            right[version] += int((classifier.predict(found[which]) == labels[fold.held_out]).sum())
    total = sum(int(fold.held_out.sum()) for fold in folds)
    return {version: count / total for version, count in right.items()}
