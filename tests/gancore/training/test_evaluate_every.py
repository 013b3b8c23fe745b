"""Evaluation as training goes: when it happens, which average is kept, and what is drawn of it all."""

import contextlib
import json
import math

import numpy as np
import pytest
import torch
from PIL import Image
from support.game import Multiply, lines, trainer

from gancore.training.curves import MAX_CURVE_POINTS, draw_curves, drop_short_curves, group_by_panel, thin_curve
from gancore.training.run_log import BestTracker


class Scored:
    """Scores by call, the first one first, and how often it was asked."""

    best_metric = "lowest held_out/error"

    def __init__(self, *errors: float):
        self.errors, self.weights = list(errors), []

    def __call__(self, generator):
        assert not generator.training
        assert not torch.is_grad_enabled()
        self.weights.append(generator.weight.clone())
        return {"held_out/error": float(self.errors[len(self.weights) - 1]), "held_out/other": float(len(self.weights))}


def run(folder, evaluation, **options):
    quick = {"evaluate_every": 2, "steps": 7, "generator_lr": 0.1, "checkpoint_every": 3, **options}
    trained = trainer(folder, looking={"evaluator": evaluation}, **quick)
    trained.train()
    return trained


def test_the_average_is_evaluated_at_its_steps_and_at_the_last(tmp_path):
    run(tmp_path, Scored(4, 3, 2, 1))
    found = {line["step"]: line["held_out/error"] for line in lines(tmp_path) if "held_out/error" in line}
    assert found == {2: 4, 4: 3, 6: 2, 7: 1}


def test_an_evaluation_is_none_if_it_is_not_wanted(tmp_path):
    run(tmp_path, Scored(), evaluate_every=0)
    assert not (tmp_path / "best").exists()


@pytest.mark.parametrize(
    ("rule", "errors", "best"),
    [
        ("", (4, 1, 2, 3), 1),
        ("lowest held_out/error", (4, 4, 4, 4), 0),
        ("highest held_out/error", (4, 1, 5, 3), 2),
        ("highest held_out/other", (4, 1, 5, 3), 3),
        ("lowest held_out/error", (math.nan, 2, 1, math.nan), 2),
    ],
)
def test_the_best_average_is_kept_by_the_score_that_is_named(tmp_path, rule, errors, best):
    evaluation = Scored(*errors)
    run(tmp_path, evaluation, best_metric=rule)
    kept = Multiply.from_pretrained(tmp_path / "best")
    assert torch.equal(kept.weight, evaluation.weights[best])
    assert sum(torch.equal(kept.weight, weights) for weights in evaluation.weights) == 1


def test_a_run_that_goes_on_remembers_what_was_best(tmp_path):
    run(tmp_path, evaluation := Scored(4, 1, 2), steps=5)
    best = evaluation.weights[1]
    run(tmp_path, Scored(3, 2), steps=7)
    assert torch.equal(Multiply.from_pretrained(tmp_path / "best").weight, best)
    run(tmp_path, again := Scored(0.5), steps=8)
    assert torch.equal(Multiply.from_pretrained(tmp_path / "best").weight, again.weights[0])


def test_an_unknown_score_is_named_with_those_there_are(tmp_path):
    with pytest.raises(
        ValueError, match=r"train.best_metric: unknown score 'held_out/x'; choose from held_out/error, held_"
    ):
        run(tmp_path, Scored(1), best_metric="lowest held_out/x")
    for rule in ("held_out/error", "best held_out/error", "lowest "):
        with pytest.raises(ValueError, match='best_metric must be "lowest NAME" or "highest NAME"'):
            BestTracker(rule)
    with pytest.raises(ValueError, match=r"^best_metric must be"):
        trainer(tmp_path, best_metric="held_out/error")


def test_evaluating_changes_no_weight(tmp_path):
    for name, every in (("often", 1), ("never", 0)):
        run(tmp_path / name, Scored(*range(9)), evaluate_every=every)
    often, never = ((tmp_path / name / "generator" / "model.safetensors").read_bytes() for name in ("often", "never"))
    assert often == never


# -------------------------------------------------------------------------------------------------------- curves.png


def test_curves_are_drawn_of_what_was_logged_and_mark_alarms(tmp_path):
    run(tmp_path, Scored(4, 3, 2, 1), curves=True, checkpoint_every=7)
    plain = np.asarray(Image.open(tmp_path / "curves.png").convert("RGB")).astype(int)
    assert plain.shape[1] == 1200
    assert plain.std() > 10
    alarm = {"step": 4, "alarm": "mode_collapse", "saw": "x", "helps": "y"}
    (tmp_path / "alarms.jsonl").write_text(json.dumps(alarm) + "\n")
    draw_curves(tmp_path)
    marked = np.asarray(Image.open(tmp_path / "curves.png").convert("RGB")).astype(int)
    red = [((image[..., 0] > 150) & (image[..., 1:].max(2) < 60)).sum() for image in (plain, marked)]
    assert red[1] > red[0] + 100


def test_nothing_is_drawn_of_nothing_or_of_two_points(tmp_path):
    draw_curves(tmp_path)
    (tmp_path / "stats.jsonl").write_text('{"step": 1, "a/b": 1.0}\n{"step": 2, "a/b": 2.0}\n')
    draw_curves(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["stats.jsonl"]


def test_short_curves_are_left_out_and_baselines_never_stand_alone():
    steps, values = [1, 2, 3], [1.0, 2.0, 3.0]
    long, short = (steps, values), (steps[:2], values[:2])
    panels = {
        "held_out/psnr": {"mean": long, "copy_last": short, "sample": short},
        "held_out/crps": {"samples": short, "copy_last": long},
        "speed": {"speed": short},
    }
    assert drop_short_curves(panels) == {"held_out/psnr": {"mean": long, "copy_last": short}}


def test_a_baseline_is_a_dashed_line_and_both_axes_have_names(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda self, *_, **__: figures.append(self))
    records = [
        {"step": n, "held_out/mse_per_frame/mean": 1 / n, "held_out/mse_per_frame/copy_last": 0.3} for n in (1, 2, 3)
    ]
    (tmp_path / "stats.jsonl").write_text("".join(f"{json.dumps(record)}\n" for record in records))
    with contextlib.suppress(FileNotFoundError):  # nothing was written to be put in place
        draw_curves(tmp_path)
    axis = figures[0].axes[0]
    found = {line.get_label(): (line.get_linestyle(), list(line.get_ydata())) for line in axis.lines}
    assert found == {"mean": ("-", [1, 1 / 2, 1 / 3]), "last frame repeated (copy_last)": ("--", [0.3, 0.3])}
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("step", "mse per frame")


def test_curves_share_a_panel_if_their_names_begin_alike():
    panels = group_by_panel(
        [
            {"step": 1, "generator/a": 1.0, "generator/b": 2.0, "speed": 3.0},
            {"step": 2, "generator/a": None, "held_out/psnr/mean": 4.0, "alarm/x": 1},
        ]
    )
    assert list(panels.items()) == [
        ("generator", {"a": ([1], [1.0]), "b": ([1], [2.0])}),
        ("held_out/psnr", {"mean": ([2], [4.0])}),
        ("speed", {"speed": ([1], [3.0])}),
    ]


def test_long_curves_are_thinned_by_medians():
    steps, values = thin_curve((list(range(5 * MAX_CURVE_POINTS)), [1.0, 1.0, 9.0, 1.0, 1.0] * MAX_CURVE_POINTS))
    assert len(steps) == len(values) == MAX_CURVE_POINTS
    assert set(values) == {1.0}
    assert thin_curve(([1, 2], [3.0, 4.0])) == ([1, 2], [3.0, 4.0])
