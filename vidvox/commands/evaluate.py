"""vidvox evaluate: measures a model, or the files of another tool, against baselines."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gancore.evaluation.config import EvaluationConfig
from gancore.files.atomic import create_parents
from gancore.files.outputs import check_new_folder, check_outputs, check_replaceable
from gancore.model_files import find_model, list_model_inputs
from gancore.parsing import parse_config, report_user_errors
from vidgan.animation.commands import EvaluateAnimationConfig
from vidgan.commands import EvaluateConfig as VideoEvaluateConfig
from vidgan.data_config import NAMED_SOURCES
from vidgan.translation.commands import EvaluateTranslationConfig
from vidvox.commands.tasks import choose_task
from vidvox.kinds import require_kind
from vidvox.settings import read_run_settings
from voxgan.commands import EvaluateConfig as VoxelEvaluateConfig

SHARED_KEYS = ("out", "predictions", "split", "max_items", "rating_page", "seed", "cpu", "overwrite")
"""Settings that --help shows for videos and for voxels."""


@report_user_errors
def main(argv: Sequence[str], *, prog: str) -> None:
    """Measure a model of any task."""
    summary = "Measure a model, or files of another tool, on data that training never saw, against baselines."
    task, words = choose_task(argv, prog=prog, summary=summary)
    commands = {
        "video": evaluate_video,
        "translation": evaluate_translation,
        "animation": evaluate_animation,
        "voxels": evaluate_voxels,
    }
    commands[task](words, prog=prog)


@report_user_errors
def evaluate_video(argv: Sequence[str] | None = None, *, prog: str = "") -> None:
    """Measure a model of clips, or the clips of another tool; print a summary, and write a report and a rating page."""
    config = parse_config(
        VideoEvaluateConfig,
        argv,
        prog=prog,
        positional=["model"],
        main=[
            *SHARED_KEYS,
            *("samples", "ground_truth", "context_frames", "networks", "save_clips"),
            *("degradation", "severity", "restorer", "spoilt_model"),
        ],
        examples="""
            vidvox evaluate runs/mine -o report --rating_page report/rate.html
            vidvox evaluate runs/mine --degradation rain --restorer runs/restore --spoilt_model runs/rain
            vidvox evaluate video --predictions THEIRS --ground_truth TRUTH --context_frames 5 -o theirs
        """,
        defaults=_read_video_defaults,
    )
    data = None if config.ground_truth or not config.data.path else Path(config.data.path)
    split = config.data.holdout_file
    inputs = [config.ground_truth, data, Path(split) if split else None]
    for name in (config.restorer, config.spoilt_model):
        inputs += list_model_inputs(name) if name else []
    _check_files(config, inputs, folders=[config.save_clips, config.feature_cache])
    check_new_folder(config.save_clips, "save_clips")
    if config.model:
        require_kind(config.model, "FramePredictor", "VideoGenerator")
    if config.restorer:
        require_kind(config.restorer, "ClipTranslator", "TranslatorPair")
    if config.spoilt_model:
        require_kind(config.spoilt_model, "FramePredictor")
    _create_folders(config)

    from vidgan.evaluation.evaluate import evaluate
    from vidgan.evaluation.media import write_preference_pairs
    from vidgan.evaluation.page import write_report
    from vidgan.evaluation.sources import open_evaluation_set
    from vidgan.evaluation.summary import format_summary

    evaluation_set = open_evaluation_set(config)
    report = evaluate(config, evaluation_set)
    if config.out:
        write_report(
            report, evaluation_set, config, config.out
        )  # before printing, since a closed pipe ends the process
    print(format_summary(report))
    if config.rating_page:
        key = write_preference_pairs(evaluation_set, config)
        print(f"\n{config.rating_page} is the rating page; keep {key}, which tells which is which, from the raters")


@report_user_errors
def evaluate_translation(argv: Sequence[str] | None = None, *, prog: str = "") -> None:
    """Measure a model that translates clips; print a summary and write a report."""
    config = parse_config(
        EvaluateTranslationConfig,
        argv,
        prog=prog,
        positional=["model"],
        main=[
            *("out", "baseline_model", "data.path", "data.degradations", "severities", "split", "max_items"),
            *("networks", "seed", "cpu", "overwrite"),
        ],
        examples="""
            vidvox evaluate runs/restore -o report
            vidvox evaluate vidvox/restore --data.path VIDEOS --data.degradations [rain,noise] --severities [1,3,5]
        """,
        defaults=_read_translation_defaults,
    )
    assert config.model is not None
    paths = [Path(path) for path in (config.data.path, config.data.sources) if path and path not in NAMED_SOURCES]
    baseline = list_model_inputs(config.baseline_model) if config.baseline_model else []
    _check_files(config, [*paths, *baseline])
    for model in (config.model, config.baseline_model):
        if model:
            require_kind(model, "ClipTranslator", "TranslatorPair")
    _create_folders(config)

    from vidgan.translation.evaluate import evaluate
    from vidgan.translation.page import write_report
    from vidgan.translation.report import format_summary

    evaluation = evaluate(config)
    if config.out:
        write_report(evaluation, config.out)  # before printing, which a closed pipe would cut short
    print(format_summary(evaluation.report))


@report_user_errors
def evaluate_animation(argv: Sequence[str] | None = None, *, prog: str = "") -> None:
    """Measure an animator; print a summary and write a report."""
    config = parse_config(
        EvaluateAnimationConfig,
        argv,
        prog=prog,
        positional=["model"],
        main=["out", "baseline_model", "data.path", "split", "max_items", "fit_clips", "seed", "cpu", "overwrite"],
        examples="""
            vidvox evaluate runs/animator -o report
            vidvox evaluate runs/animator --baseline_model runs/position -o report
        """,
        defaults=_read_animation_defaults,
    )
    assert config.model is not None
    data = [Path(config.data.path)] if config.data.path not in NAMED_SOURCES else []
    baseline = list_model_inputs(config.baseline_model) if config.baseline_model else []
    _check_files(config, [*data, *baseline])
    for model in (config.model, config.baseline_model):
        if model:
            require_kind(model, "Animator")
    _create_folders(config)

    from vidgan.animation.evaluate import evaluate
    from vidgan.animation.page import write_report
    from vidgan.animation.report import format_summary

    evaluation = evaluate(config)
    if config.out:
        write_report(evaluation, config.out)  # before printing, which a closed pipe would cut short
    print(format_summary(evaluation.report))


@report_user_errors
def evaluate_voxels(argv: Sequence[str] | None = None, *, prog: str = "") -> None:
    """Measure a model of objects, or the objects of another tool; print a summary, and write report and rating page."""
    config = parse_config(
        VoxelEvaluateConfig,
        argv,
        prog=prog,
        positional=["model"],
        main=[*SHARED_KEYS, "data", "views", "surfaces", "generated_objects"],
        examples="""
            vidvox evaluate runs/shapes -o report
            vidvox evaluate voxels --predictions MESHES --data DATASET -o theirs
        """,
        defaults=_read_voxel_defaults,
    )
    baseline = list_model_inputs(config.baseline_model) if config.baseline_model else []
    probe = [config.probe_run / "checkpoints", config.probe_run / "config.json"] if config.probe_run else []
    _check_files(config, [Path(config.data), *baseline, *probe])
    if config.model:
        require_kind(config.model, "ImageToVoxels", "VoxelGenerator")
    _create_folders(config)

    from voxgan.evaluation.evaluate import evaluate
    from voxgan.evaluation.page import write_report
    from voxgan.evaluation.summary import format_summary

    result = evaluate(config)
    written = write_report(result, config)  # before printing, since a closed pipe ends the process
    print(format_summary(result.report))
    for path in written:
        print(path)


def _read_video_defaults(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """The data settings of the model's run."""
    from vidgan.evaluation.sources import read_run_defaults

    return read_run_defaults(given)


def _read_translation_defaults(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """The data settings of the model's run, without the range of severities."""
    run = _read_run(given)
    if "degradations" not in run.get("data", {}):
        return {}
    data = {key: value for key, value in run["data"].items() if key not in ("least_severity", "most_severity")}
    return {"data": data}


def _read_animation_defaults(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """The data settings of the model's run."""
    run = _read_run(given)
    return {"data": run["data"]} if "frames" in run.get("data", {}) else {}


def _read_voxel_defaults(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """The data set of the model's run, and the classes that were used."""
    run = _read_run(given)
    if "encoder" not in run or "data" in given:
        return {}
    return {"data": run["data"]["path"], "classes": run["data"].get("classes", [])}


def _read_run(given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of the run that the given model lies in; empty without a model or a run folder."""
    return (read_run_settings(Path(find_model(given["model"])).parent) if given.get("model") else None) or {}


def _check_files(config: EvaluationConfig, inputs: Sequence[Path | None], folders: Sequence[Path | None] = ()) -> None:
    """Raise ValueError if an output would replace an input, or a file or folder that must not be replaced."""
    read = [config.predictions, *inputs, *(list_model_inputs(config.model) if config.model else [])]
    check_outputs(config.list_outputs(), inputs=read, overwrite=config.overwrite, are_files=True)
    check_outputs(folders, inputs=read, overwrite=False)
    for path in config.list_outputs():
        check_replaceable(path)


def _create_folders(config: EvaluationConfig) -> None:
    """Create the folders of all outputs, so that one that cannot be created is reported before minutes of work."""
    for path in config.list_outputs():
        create_parents(path)
