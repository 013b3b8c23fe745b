"""What generated samples are worth to a classifier, by sets whose worth is known."""

import numpy as np
import pytest

from gancore.evaluation.transfer import LabelledRows, format_transfer, measure_transfer


def blobs(centres: dict[str, float], count: int, seed: int) -> LabelledRows:
    random = np.random.default_rng(seed)
    labels = [label for label in centres for _ in range(count)]
    return LabelledRows(np.stack([random.normal(centres[label], 1, 3) for label in labels]), labels)


def transfer(generated: LabelledRows):
    real, tested = (blobs({"a": -3, "b": 3, "c": 9}, 40, seed) for seed in (0, 1))
    return measure_transfer(real, tested, generated, protocol={}, provenance={})


def test_generated_samples_like_the_real_ones_are_worth_as_much():
    report = transfer(blobs({"a": -3, "b": 3}, 40, 2))
    assert report.classes == ["a", "b"]
    assert min(report.real_on_real, report.generated_on_real, report.real_on_generated) > 0.98
    assert report.share == pytest.approx(1, abs=0.02)
    assert report.counts == {"real, learned from": 80, "real, tested": 80, "generated": 80}
    assert "are worth 100 % of real ones" in format_transfer(report)


def test_samples_with_exchanged_labels_are_worth_nothing_but_agree_with_each_other():
    report = transfer(blobs({"b": -3, "a": 3}, 40, 2))
    assert report.generated_on_real < 0.02
    assert report.real_on_generated < 0.02
    assert report.generated_on_generated > 0.98


def test_a_frequent_class_counts_as_one():
    many, few = blobs({"a": 0}, 90, 0), blobs({"b": 0}, 10, 1)
    same = LabelledRows(np.concatenate([many.rows, few.rows]), [*many.labels, *few.labels])
    report = measure_transfer(same, same, same, protocol={}, provenance={})
    assert report.chance == 0.5
    assert report.real_on_real < 0.75  # nine of ten right by saying a always


def test_sets_without_two_common_classes_are_refused():
    with pytest.raises(ValueError, match=r"1 classes in common.* generated samples \(.*\), real ones \(.*\), held-out"):
        transfer(blobs({"a": 0, "d": 1}, 3, 0))
