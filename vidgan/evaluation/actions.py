"""Whether a model follows actions: scores with the actions of each clip, and with those of another clip."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from gancore.data import Sample
from gancore.rng import derive_seed
from vidgan.data.batch import ClipBatch
from vidgan.data.synthetic.cut_outs import complete_item
from vidgan.evaluation.methods import GroundTruth, ModelMethod
from vidgan.evaluation.report import SHUFFLED_ACTIONS, TRUE_ACTIONS, PredictionReport
from vidgan.objective import Futures


@dataclass(frozen=True, kw_only=True)
class OtherActions:
    """A model that is given other actions than those of the clips; latents are those of the model itself."""

    name: str
    method: ModelMethod
    actions: Callable[[range], Float[Tensor, "batch time size"]]
    """The actions for the clips of these numbers."""

    @property
    def samples(self) -> int:
        return self.method.samples

    def predict(self, batch: ClipBatch, numbers: range) -> Futures:
        device = batch.frames.device
        return self.method.predict(replace(batch, actions=self.actions(numbers).to(device)), numbers)


def borrow_actions(
    clips: GroundTruth, indices: Sequence[int], seed: int, numbers: range
) -> Float[Tensor, "batch time size"]:
    """For each clip the actions of the clip half of the set further on, which is rarely of the same episode."""
    total, found = len(indices), []
    for number in numbers:
        other = (number + total // 2) % total
        actions = complete_item(clips[Sample(indices[other], derive_seed(seed, other))]).actions
        assert actions is not None, "a model with actions is evaluated on clips with actions"
        found.append(actions)
    return torch.stack(found)


def describe_listening(report: PredictionReport) -> list[str]:
    """Say whether true actions made smaller errors than shuffled ones at every lead; nothing without actions."""
    curves = report.by_lead_time["mse_per_frame"]
    pairs = [
        (curve, curves[name.replace(TRUE_ACTIONS, SHUFFLED_ACTIONS, 1)])
        for name, curve in curves.items()
        if name.startswith(TRUE_ACTIONS) and not name.endswith("best of samples")
    ]
    if not pairs:
        return []
    true, shuffled = pairs[0]
    better = sum(a is not None and b is not None and a < b for a, b in zip(true, shuffled, strict=True))
    share = sum(value or 0 for value in true) / max(sum(value or 0 for value in shuffled), 1e-12)
    return [
        f"With the true actions the squared error is smaller than with those of another clip at {better} of "
        f"{len(true)} leads, and {100 * share:.0f} % of it over all of them."
    ]
