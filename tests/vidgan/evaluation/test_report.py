"""The page of an evaluation: what stands in it, and that a browser shows it."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from support.browser import faults
from support.tiny import SHAPE, clips, predictor, synthesiser

from gancore.evaluation.report import read_report_json
from vidgan.commands import EvaluateConfig
from vidgan.data_config import VideoDataConfig
from vidgan.evaluation.baselines import BASELINES, REQUIRED_PAST_FRAMES
from vidgan.evaluation.evaluate import evaluate
from vidgan.evaluation.media import CONTEXT_COLOUR, GENERATED_COLOUR, add_border, write_preference_pairs
from vidgan.evaluation.methods import EvaluationSet
from vidgan.evaluation.page import build_sections, write_report
from vidgan.evaluation.published import PUBLISHED_TABLES, find_published_tables, infer_benchmark
from vidgan.evaluation.report import VideoReport
from vidgan.evaluation.sources import open_evaluation_set
from vidgan.evaluation.summary import format_summary
from vidgan.files.video import write_clip
from vidgan.frames import to_uint8

DATA = VideoDataConfig(height=16, width=16, channels=1, clip_frames=5, context_frames=2)

SCORED_BASELINES = {name for name in BASELINES if REQUIRED_PAST_FRAMES.get(name, 1) <= 2}
"""Those that two past frames are enough for."""


@pytest.fixture(scope="module")
def prediction(tmp_path_factory):
    """The settings of an evaluation of a predictor, and its folder of clips."""
    folder = tmp_path_factory.mktemp("prediction")
    predictor("modern", SHAPE).save_pretrained(folder / "generator")
    return EvaluateConfig(
        model=str(folder / "generator"),
        data=DATA,
        samples=2,
        max_items=7,
        networks=("colours",),
        cpu=True,
        out=folder / "report",
        rating_page=folder / "rate.html",
        rating_pairs=3,
    )


@pytest.fixture(scope="module")
def synthesis(tmp_path_factory):
    """The settings of an evaluation of clips made from noise."""
    folder = tmp_path_factory.mktemp("synthesis")
    for number in range(16):
        clip = to_uint8(clips(1, frames=5, seed=number))[0]
        write_clip(folder / "videos" / "ab"[number // 8] / f"{number}.npy", clip, rate=10)
    synthesiser("modern", classes=("a", "b")).save_pretrained(folder / "generator")
    data = replace(DATA, path=str(folder / "videos"), context_frames=0, class_conditional=True, holdout_fraction=0.5)
    return EvaluateConfig(
        model=str(folder / "generator"), data=data, networks=("colours",), cpu=True, out=folder / "report"
    )


def written(config: EvaluateConfig) -> tuple[VideoReport, EvaluationSet]:
    """The report and the clips it is about, after the files were written."""
    evaluation_set = open_evaluation_set(config)
    report = evaluate(config, evaluation_set)
    write_report(report, evaluation_set, config, config.out)
    return report, evaluation_set


def test_the_page_of_a_prediction_has_scores_curves_clips_and_all_they_depend_on(prediction):
    report, evaluation_set = written(prediction)
    titles = [section.title for section in build_sections(report, evaluation_set, prediction)]
    assert titles.index("Frame by frame") < titles.index("Scores") < titles.index("SSIM by lead time")
    for title in ("Scores", "SSIM by lead time", "Spread / error", "Frame by frame", "Protocol", "Software"):
        assert title in titles
    assert "Best, median and worst by single samples" in titles
    html = Path(prediction.out, "report.html").read_text()
    assert html.count("data:image/webp") == 6
    assert "optical flow" in html
    assert html.index("(the best baseline)") < html.index("Best, median and worst")
    assert read_report_json(VideoReport, prediction.out) == report


def test_the_verdict_compares_the_model_with_the_best_baseline_and_leaves_out_what_has_seen_the_truth(prediction):
    report, _ = written(prediction)
    first, *others = report.prediction.verdicts()
    scores = {name: score.mean for name, score in report.prediction.overall["crps"].items()}
    assert (first.metric, first.method, first.score) == ("CRPS", "all samples", scores["all samples"])
    assert first.baseline_score == min(scores[name] for name in SCORED_BASELINES)
    assert {verdict.method for verdict in others} == {"single samples"}
    assert f"is {'better' if first.is_better else 'worse'} than {first.baseline} (the best baseline)" in str(first)


def test_a_sample_chosen_by_the_true_future_is_never_marked_as_best(prediction):
    report, evaluation_set = written(prediction)
    sections = {section.title: section for section in build_sections(report, evaluation_set, prediction)}
    assert "best of samples" in sections["Scores"].rows
    assert sections["Scores"].unranked == ["best of samples"]
    assert set(sections["SSIM by lead time"].baselines) == SCORED_BASELINES


def test_a_second_page_is_the_same(prediction):
    pages = []
    for _ in range(2):
        written(prediction)
        pages.append(Path(prediction.out, "report.html").read_text())
    assert pages[0] == pages[1]


def test_a_single_lead_time_is_a_table_in_place_of_curves(prediction):
    config = replace(prediction, data=replace(DATA, clip_frames=3), samples=1, max_items=2)
    report, evaluation_set = written(config)
    (section,) = (each for each in build_sections(report, evaluation_set, config) if each.title == "SSIM by lead time")
    assert type(section).__name__ == "Table"


def test_the_page_of_clips_made_from_noise_has_neighbours_and_classes(synthesis):
    report, evaluation_set = written(synthesis)
    titles = [section.title for section in build_sections(report, evaluation_set, synthesis)]
    for title in ("Looks", "Classes", "Memorised", "Generated and true clips", "Nearest neighbours"):
        assert title in titles
    assert "generated from noise" in format_summary(report)


@pytest.mark.parametrize(("width", "dark"), [(1000, False), (400, True)])
@pytest.mark.parametrize("kind", ["prediction", "synthesis"])
def test_a_browser_shows_the_page_without_fault(browser, request, kind, width, dark):
    config = request.getfixturevalue(kind)
    written(config)
    with browser.opened(Path(config.out, "report.html"), width=width, dark=dark) as shown:
        assert faults(shown) == []
        assert shown.value("document.images.length") >= 5


def test_a_page_of_blind_pairs_has_a_key_that_tells_made_from_true(prediction):
    key = json.loads(write_preference_pairs(open_evaluation_set(prediction), prediction).read_text())
    assert len(key["pairs"]) == 3
    assert {frozenset((pair["left"], pair["right"])) for pair in key["pairs"]} == {frozenset(("model", "true"))}
    text = re.sub(r"data:[^\"]*", "", prediction.rating_page.read_text())
    assert "model" not in text


def test_an_edge_tells_made_frames_from_given_ones():
    shown = add_border(clips(1, frames=3)[0], given_frames=2)
    assert shown.shape == (3, 3, 20, 20)
    assert [tuple(frame[:, 0, 0].tolist()) for frame in shown] == [CONTEXT_COLOUR, CONTEXT_COLOUR, GENERATED_COLOUR]


# ---------------------------------------------------------------------------------------------------------- published


def test_published_results_are_shown_for_the_same_task_alone(prediction):
    same = {"context_frames": 10, "future_frames": 10, "height": 64}
    found = find_published_tables("moving-mnist", **same)
    assert [each.rows["PredRNN"] for each in found] == [(23.97, 0.9462), (26.43, 0.9411)]
    assert find_published_tables("moving-mnist", **same | {"future_frames": 20}) == []
    assert find_published_tables(None, **same) == []
    config = replace(
        prediction, data=replace(DATA, clip_frames=20, context_frames=10, height=64, width=64), max_items=1, samples=1
    )
    report, evaluation_set = written(config)
    tables = [
        each
        for each in build_sections(report, evaluation_set, config)
        if each.title.startswith("Published on moving-mnist")
    ]
    assert [each.title for each in tables] == [
        "Published on moving-mnist: OpenSTL, 200 epochs",
        "Published on moving-mnist: OpenSTL, 2000 epochs",
    ]
    assert tables[0].rows["here: prediction"][1] == pytest.approx(report.prediction.overall["ssim"]["prediction"].mean)
    assert tables[0].columns == ["MSE summed per frame", "SSIM"]


def test_every_published_method_has_a_number_for_every_column_or_none():
    for table in PUBLISHED_TABLES:
        assert all(len(row) == len(table.columns) for row in table.rows.values()), table.title
        assert all(any(cell is not None for cell in row) for row in table.rows.values())


def test_a_benchmark_is_known_by_its_source_or_layout():
    assert infer_benchmark("moving-mnist", "auto") == "moving-mnist"
    assert infer_benchmark("videos", "kth") == "kth"
    assert infer_benchmark("videos", "auto") is None
