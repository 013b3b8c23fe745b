"""What generated samples are worth to a classifier: trained on them, tested on real ones, and the other way round."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from gancore.evaluation.report import SCHEMA
from gancore.reporting.tables import format_table

RIDGE = 1.0
"""Weight of half the squared coefficients of standardised features, beside the summed losses of the samples."""
MAX_ITERATIONS = 2000
PERCENT = 100.0


@dataclass(frozen=True)
class LabelledRows:
    """The features of samples, a row each, and the names of their classes."""

    rows: Float[np.ndarray, "samples features"]
    labels: Sequence[str]

    def of_classes(self, classes: Sequence[str]) -> "LabelledRows":
        """Those of these classes alone."""
        kept = [number for number, label in enumerate(self.labels) if label in classes]
        return LabelledRows(self.rows[kept], [self.labels[number] for number in kept])

    def __getitem__(self, part: slice) -> "LabelledRows":
        return LabelledRows(self.rows[part], self.labels[part])


@dataclass(frozen=True, kw_only=True)
class TransferReport:
    """Shares of the tested samples whose class is recognised, in [0, 1], by what was learned from.

    Each is the mean over the classes of the share in that class, so that a frequent class counts as one.
    """

    schema: int = SCHEMA
    classes: list[str]
    """Classes that real and generated samples have in common."""
    real_on_real: float
    generated_on_real: float
    """TSTR: trained on synthetic, tested on real."""
    real_on_generated: float
    """TRTS: trained on real, tested on synthetic: whether the model makes the class that it is asked for."""
    generated_on_generated: float
    """Trained on the first half of the generated samples of each class, tested on the second."""
    chance: float
    """One over the number of classes."""
    counts: dict[str, int]
    """Samples that are learned from and tested."""
    protocol: dict[str, Any]
    provenance: dict[str, Any]

    @property
    def share(self) -> float:
        """What generated samples are worth, of what real ones are: TSTR divided by the accuracy after real ones."""
        return self.generated_on_real / self.real_on_real if self.real_on_real else 0.0


def build_classifier(*, balanced: bool = False) -> Pipeline:
    """Multinomial logistic regression of standardised features; if `balanced`, all classes weigh the same."""
    weight = "balanced" if balanced else None
    return make_pipeline(
        StandardScaler(), LogisticRegression(C=1 / RIDGE, max_iter=MAX_ITERATIONS, class_weight=weight)
    )


def measure_transfer(
    real: LabelledRows,
    tested: LabelledRows,
    generated: LabelledRows,
    *,
    protocol: dict[str, Any],
    provenance: dict[str, Any],
) -> TransferReport:
    """Train a classifier on real samples and one on generated ones, and test both on held-out real and generated ones.

    Args:
        real: Real samples to learn from.
        tested: Real samples of the held-out part.
        generated: Generated samples.
        protocol: What was measured, for the report.
        provenance: Software, device, seed and data.

    Raises:
        ValueError: There are fewer than two classes that all three have.
    """
    classes = sorted(set(real.labels) & set(tested.labels) & set(generated.labels))
    if len(classes) < 2:
        parts = {"generated samples": generated, "real ones": real, "held-out real ones": tested}
        found = ", ".join(f"{name} ({', '.join(sorted(set(part.labels)))})" for name, part in parts.items())
        raise ValueError(f"there are {len(classes)} classes in common, of two that are needed, between {found}")
    real, tested, generated = (each.of_classes(classes) for each in (real, tested, generated))
    halves: tuple[list[int], list[int]] = [], []
    for label in classes:
        own = [number for number, each in enumerate(generated.labels) if each == label]
        middle = -(-len(own) // 2)
        halves[0].extend(own[:middle])
        halves[1].extend(own[middle:])
    first, second = (LabelledRows(generated.rows[half], [generated.labels[n] for n in half]) for half in halves)
    on_real, on_generated = (build_classifier(balanced=True).fit(each.rows, each.labels) for each in (real, generated))
    return TransferReport(
        classes=classes,
        real_on_real=_accuracy(on_real, tested),
        generated_on_real=_accuracy(on_generated, tested),
        real_on_generated=_accuracy(on_real, generated),
        generated_on_generated=_accuracy(build_classifier(balanced=True).fit(first.rows, first.labels), second),
        chance=1 / len(classes),
        counts={"real, learned from": len(real.labels), "real, tested": len(tested.labels)}
        | {"generated": len(generated.labels)},
        protocol=protocol,
        provenance=provenance,
    )


def _accuracy(classifier: Pipeline, tested: LabelledRows) -> float:
    """The mean over classes of the share of right answers; 0 if nothing is tested."""
    labels = np.array(tested.labels)
    if not len(labels):
        return 0.0
    right = classifier.predict(tested.rows) == labels
    return float(np.mean([right[labels == label].mean() for label in np.unique(labels)]))


def format_transfer(report: TransferReport) -> str:
    """Format a heading, a table of accuracies in per cent and what they mean."""
    rows = {
        "real": [report.real_on_real, report.real_on_generated],
        "generated": [report.generated_on_real, report.generated_on_generated],
    }
    cells = {name: [f"{PERCENT * value:.1f}" for value in row] for name, row in rows.items()}
    counts = ", ".join(f"{count} {name}" for name, count in report.counts.items())
    table = format_table("mean accuracy of classes (%), learned from", ["tested on real", "on generated"], cells)
    return (
        f"{len(report.classes)} classes: {counts}; chance {PERCENT * report.chance:.1f} %\n\n{table}\n\n"
        f"Generated samples are worth {PERCENT * report.share:.0f} % of real ones."
    )
