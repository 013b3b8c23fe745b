"""Whether a method beats the baselines, in words."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gancore.reporting.page import describe_difference


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One method against the best of the baselines, by one metric."""

    metric: str
    method: str
    score: float
    baseline: str
    """The best baseline."""
    baseline_score: float
    higher_is_better: bool

    @property
    def is_better(self) -> bool:
        """Whether the method beats every baseline."""
        gain = self.score - self.baseline_score
        return gain > 0 if self.higher_is_better else gain < 0

    def __str__(self) -> str:
        """A sentence: who is better, by which metric, and by how much."""
        return describe_difference(
            self.metric,
            method=self.method,
            value=self.score,
            baseline=f"{self.baseline} (the best baseline)",
            baseline_value=self.baseline_score,
            best="highest" if self.higher_is_better else "lowest",
            digits=4,
        )


def judge_methods(
    metric: str,
    scores: Mapping[str, float | int | None],
    *,
    methods: Iterable[str],
    baselines: Iterable[str],
    higher_is_better: bool,
) -> list[Verdict]:
    """Compare each method with the best baseline by one metric.

    Args:
        metric: Name of the metric, for the sentences.
        scores: By the name of a method or baseline; None, or no entry, where it has no score.
        methods: Names of the methods to judge.
        baselines: Names of the baselines; leave out whatever has seen the ground truth.
        higher_is_better: Direction of the metric.

    Returns:
        A verdict for each method with a score; none if no baseline has one.
    """
    known = {name: float(score) for name, score in scores.items() if score is not None}
    rivals = [name for name in baselines if name in known]
    if not rivals:
        return []
    best = (max if higher_is_better else min)(rivals, key=known.__getitem__)
    return [
        Verdict(
            metric=metric,
            method=name,
            score=known[name],
            baseline=best,
            baseline_score=known[best],
            higher_is_better=higher_is_better,
        )
        for name in methods
        if name in known
    ]
