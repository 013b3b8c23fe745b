"""The page of an evaluation: what stands in it, and that a browser shows it."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.browser import faults
from support.tiny import SHAPE, clips, predictor, synthesiser

from vidgan.config import VideoDataConfig
from vidgan.evaluation.evaluate import EvaluateConfig, evaluate, open_trials
from vidgan.evaluation.examples import CONTEXT_COLOUR, GENERATED_COLOUR, add_border, write_preference_pairs
from vidgan.evaluation.methods import EvaluationSet
from vidgan.evaluation.published import PUBLISHED_SCORES, find_published_scores, infer_benchmark
from vidgan.evaluation.report import build_sections, format_summary, write_report
from vidgan.files.video import to_uint8, write_clip

DATA = VideoDataConfig(height=16, width=16, channels=1, clip_frames=5, context_frames=2)


@pytest.fixture(scope="module")
def prediction(tmp_path_factory):
    """The settings of an evaluation of a predictor, and its folder of clips."""
    folder = tmp_path_factory.mktemp("prediction")
    predictor("modern", SHAPE).save_pretrained(folder / "generator")
    return EvaluateConfig(
        model=str(folder / "generator"),
        data=DATA,
        samples=2,
        clips=7,
        networks=("colours",),
        cpu=True,
        out=str(folder / "report"),
        rating_page=str(folder / "rate.html"),
        rating_pairs=3,
    )


@pytest.fixture(scope="module")
def synthesis(tmp_path_factory):
    """The settings of an evaluation of clips made from noise."""
    folder = tmp_path_factory.mktemp("synthesis")
    for number in range(16):
        clip = to_uint8(clips(1, frames=5, seed=number))[0]
        write_clip(folder / "videos" / "ab"[number // 8] / f"{number}.npy", clip, rate=10)
    synthesiser("modern", classes=2).save_pretrained(folder / "generator")
    data = replace(DATA, path=str(folder / "videos"), context_frames=0, class_conditional=True, holdout_fraction=0.5)
    return EvaluateConfig(
        model=str(folder / "generator"), data=data, networks=("colours",), cpu=True, out=str(folder / "report")
    )


def written(config: EvaluateConfig) -> tuple[dict[str, Any], EvaluationSet]:
    """The report and the clips it is about, after the files were written."""
    trials = open_trials(config)
    report = evaluate(config, trials)
    write_report(report, trials, config)
    return report, trials


def test_the_page_of_a_prediction_has_scores_curves_clips_and_all_they_depend_on(prediction):
    report, trials = written(prediction)
    titles = [section.title for section in build_sections(report, trials, prediction)]
    for title in ("Scores", "SSIM by lead time", "Spread / error", "Frame by frame", "Protocol", "Software"):
        assert title in titles
    assert "Best, median and worst by single samples" in titles
    html = Path(prediction.out, "report.html").read_text()
    assert html.count("data:image/webp") == 6
    assert "optical flow" in html
    assert json.loads(Path(prediction.out, "report.json").read_text()) == report


def test_a_second_page_is_the_same(prediction):
    pages = []
    for _ in range(2):
        written(prediction)
        pages.append(Path(prediction.out, "report.html").read_text())
    assert pages[0] == pages[1]


def test_a_single_lead_time_is_a_table_in_place_of_curves(prediction):
    config = replace(prediction, data=replace(DATA, clip_frames=3), samples=1, clips=2)
    report, trials = written(config)
    (section,) = (each for each in build_sections(report, trials, config) if each.title == "SSIM by lead time")
    assert type(section).__name__ == "Table"


def test_the_page_of_clips_made_from_noise_has_neighbours_and_classes(synthesis):
    report, trials = written(synthesis)
    titles = [section.title for section in build_sections(report, trials, synthesis)]
    for title in ("Looks", "Classes", "Memorised", "Made and true clips", "Nearest neighbours"):
        assert title in titles
    assert "made from noise" in format_summary(report)


@pytest.mark.parametrize(("width", "dark"), [(1000, False), (400, True)])
@pytest.mark.parametrize("kind", ["prediction", "synthesis"])
def test_a_browser_shows_the_page_without_fault(browser, request, kind, width, dark):
    config = request.getfixturevalue(kind)
    written(config)
    with browser.opened(Path(config.out, "report.html"), width=width, dark=dark) as shown:
        assert faults(shown) == []
        assert shown.value("document.images.length") >= 5


def test_a_page_of_blind_pairs_has_a_key_that_tells_made_from_true(prediction):
    key = json.loads(Path(write_preference_pairs(open_trials(prediction), prediction)).read_text())
    assert len(key["pairs"]) == 3
    assert {frozenset((pair["left"], pair["right"])) for pair in key["pairs"]} == {frozenset(("model", "true"))}
    text = re.sub(r"data:[^\"]*", "", Path(prediction.rate).read_text())
    assert "model" not in text


def test_an_edge_tells_made_frames_from_given_ones():
    shown = add_border(clips(1, frames=3)[0], made_from=2)
    assert shown.shape == (3, 3, 20, 20)
    assert [tuple(frame[:, 0, 0].tolist()) for frame in shown] == [CONTEXT_COLOUR, CONTEXT_COLOUR, GENERATED_COLOUR]


# ---------------------------------------------------------------------------------------------------------- published


def test_published_figures_stand_beside_the_same_task_alone(prediction):
    same = {"context": 10, "future": 10, "height": 64}
    found = find_published_scores("moving-mnist", **same)
    assert [each.methods["PredRNN"] for each in found] == [(23.97, 0.9462), (26.43, 0.9411)]
    assert find_published_scores("moving-mnist", **same | {"future": 20}) == []
    assert find_published_scores("", **same) == []
    config = replace(
        prediction, data=replace(DATA, clip_frames=20, context_frames=10, height=64, width=64), clips=1, samples=1
    )
    report, trials = written(config)
    tables = [
        each for each in build_sections(report, trials, config) if each.title.startswith("Published on moving-mnist")
    ]
    assert [each.title for each in tables] == [
        "Published on moving-mnist: OpenSTL, 200 epochs",
        "Published on moving-mnist: OpenSTL, 2000 epochs",
    ]
    assert tables[0].rows["here: prediction"][1] == pytest.approx(report["overall"]["ssim"]["prediction"]["mean"])
    assert tables[0].columns == ["MSE summed per frame", "SSIM"]


def test_every_published_method_has_a_number_for_every_column_or_none():
    for figures in PUBLISHED_SCORES:
        assert all(len(row) == len(figures.columns) for row in figures.methods.values()), figures.protocol
        assert all(any(cell is not None for cell in row) for row in figures.methods.values())


def test_a_benchmark_is_known_by_its_source_or_layout():
    assert infer_benchmark("moving-mnist", "auto") == "moving-mnist"
    assert infer_benchmark("videos", "kth") == "kth"
    assert infer_benchmark("videos", "auto") == ""
