"""The model card: README.md of a published model, written from its run folder and its evaluation report."""

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import vidvox
from gancore.errors import format_line
from gancore.evaluation.report import read_report_json
from gancore.files.reading import as_unreadable
from gancore.keys import describe_value, iter_values
from gancore.model_files import locate_model_file, read_model_config
from gancore.parsing import to_dict
from vidgan.animation_config import AnimationConfig
from vidgan.config import VideoConfig
from vidgan.translation_config import TranslationConfig
from vidvox.kinds import TASKS
from vidvox.recipes import Task
from vidvox.settings import read_run_settings
from voxgan.config import VoxelConfig

SUMMARIES = {
    "FramePredictor": "Predicts how a video continues: a few frames in, different futures out.",
    "VideoGenerator": "Generates video clips from noise.",
    "ClipTranslator": "Makes a clip of a clip, or a picture of a picture.",
    "TranslatorPair": "Translates clips and pictures into another kind, and back.",
    "Animator": "Moves the figure in a picture as the one in a film moves.",
    "ImageToVoxels": "Makes a closed mesh of the object in one or several pictures.",
    "VoxelGenerator": "Generates 3-D objects from noise.",
}
CONFIGS: dict[Task, type[VideoConfig] | type[TranslationConfig] | type[AnimationConfig] | type[VoxelConfig]] = {
    "video": VideoConfig,
    "translation": TranslationConfig,
    "animation": AnimationConfig,
    "voxels": VoxelConfig,
}
"""The settings of a training, by task."""
LOCAL_SETTINGS = ("run", "data.path", "data.sources", "data.patches", "data.cache", "train.cpu")
"""Settings of one machine, which the card leaves out."""
PIPELINES = {
    "FramePredictor": "video-to-video",
    "ClipTranslator": "video-to-video",
    "TranslatorPair": "video-to-video",
    "Animator": "image-to-video",
    "ImageToVoxels": "image-to-3d",
}
"""The Hub's name of the task of each class; it has none for the other two."""
COMMANDS = {
    "FramePredictor": "vidvox predict clip.mp4 -m {repo} -o future.mp4 --samples 3",
    "VideoGenerator": "vidvox generate -m {repo} -n 16 -o samples.mp4",
    "ClipTranslator": "vidvox translate clip.mp4 -m {repo} -o made.mp4",
    "TranslatorPair": "vidvox translate clip.mp4 -m {repo} -o made.mp4",
    "Animator": "vidvox animate source.png driving.mp4 -m {repo} -o moved.mp4",
    "ImageToVoxels": "vidvox mesh chair.png -m {repo} -o chair.glb",
    "VoxelGenerator": "vidvox generate -m {repo} -n 4 -o object.glb",
}
PYTHON = {
    "FramePredictor": 'model.predict("clip.mp4", steps=10, samples=3).save("future.mp4")',
    "VideoGenerator": 'model.generate(16, seed=0).save("samples.mp4")',
    "ClipTranslator": 'model.translate("clip.mp4").save("made.mp4")',
    "TranslatorPair": 'model.translate("clip.mp4").save("made.mp4")',
    "Animator": 'model.animate("source.png", "driving.mp4").save("moved.mp4")',
    "ImageToVoxels": 'model.mesh("chair.png").save("chair.glb")',
    "VoxelGenerator": 'model.generate(4, seed=0)[0].save("object.glb")',
}


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What a model card says beyond the contents of the model's files."""

    repo: str
    """Name on the Hub, user/name."""
    licence: str | None = None
    """Licence identifier of the weights, such as mit or cc-by-4.0."""
    data: str | None = None
    """A sentence about the training data and its licence."""


def write_model_card(card: ModelCard, model: Path, *, report: Path | None = None) -> str:
    """Compose the model card in Markdown.

    Args:
        card: What is not in the files.
        model: Folder of the model; if it is in a run folder, the card shows the settings of the run.
        report: report.json of an evaluation of the model.

    Raises:
        ValueError: The folder holds no model, or the report cannot be read.
    """
    kind, networks = read_model_config(locate_model_file(model, "config.json"))
    run = read_run_settings(model.parent)
    with as_unreadable(model.parent / "config.json", "the settings of a run"):
        data, training = _describe_data(card, run), _describe_training(model.parent, run, kind)
    sections = [
        _format_front_matter(card, kind),
        f"# {card.repo.rpartition('/')[2]}\n\n{SUMMARIES[kind]}",
        f"## Use\n\n```bash\npip install vidvox\n{COMMANDS[kind].format(repo=card.repo)}\n```\n\n"
        f'```python\nimport vidvox\n\nmodel = vidvox.load("{card.repo}")\n{PYTHON[kind]}\n```',
        f"## Training data\n\n{data}",
        f"## Training\n\n{training}",
        f"## Metrics\n\n{_describe_metrics(report, kind)}",
        f"## Architecture\n\n`{kind}`, built from:\n\n{_fence(json.dumps(networks, indent=2), 'json')}",
        f"## Licence\n\n{card.licence or 'Not stated.'}",
    ]
    return "\n\n".join(sections) + "\n"


def _format_front_matter(card: ModelCard, kind: str) -> str:
    lines = ["library_name: vidvox", f"tags:\n- vidvox\n- gan\n- {TASKS[kind]}"]
    if kind in PIPELINES:
        lines.append(f"pipeline_tag: {PIPELINES[kind]}")
    if card.licence:
        lines.append(f"license: {card.licence}")
    return "\n".join(["---", *lines, "---"])


def _describe_data(card: ModelCard, run: dict[str, Any] | None) -> str:
    parts = [card.data] if card.data else []
    if run:
        path = format_line(Path(str(run["data"]["path"])).name).replace("`", "'")  # without the folders of one machine
        parts.append(f"Data set: `{path}`; see the settings below for its layout, sizes and what was held out.")
    return "\n\n".join(parts) or "Not stated."


def _describe_training(folder: Path, run: dict[str, Any] | None, kind: str) -> str:
    if not run:
        return "Not stated."
    step: int | None = None
    if (folder / "stats.jsonl").is_file():
        with suppress(ValueError, KeyError, TypeError, IndexError):  # the last line may be cut short
            step = int(json.loads((folder / "stats.jsonl").read_bytes().splitlines()[-1])["step"])
    train = run["train"]
    trained = (
        f"{step or 'An unknown number'} of {train['steps']} steps of batch {train['batch']}, seed {train['seed']}."
    )
    defaults = dict(iter_values(to_dict(CONFIGS[TASKS[kind]]())))
    changed = {
        name: value for name, value in iter_values(run) if defaults.get(name) != value and name not in LOCAL_SETTINGS
    }
    if not changed:
        return trained
    if others := changed.get("data.mixed_with"):
        changed["data.mixed_with"] = [Path(str(each)).name for each in others]
    rows = [f"| {_format_cell(name)} | {_format_cell(describe_value(value))} |" for name, value in changed.items()]
    table = "\n".join(["| setting | value |", "|---|---|", *rows])
    return f"{trained} Settings that differ from the defaults of vidvox {vidvox.__version__}:\n\n{table}"


def _describe_metrics(report: Path | None, kind: str) -> str:
    if report is None:
        return "Not evaluated yet."
    readers = {
        "video": _read_video_report,
        "translation": _read_translation_report,
        "animation": _read_animation_report,
        "voxels": _read_voxel_report,
    }
    read_report = readers[TASKS[kind]]
    with as_unreadable(report, "a report"):
        sentences, summary, provenance = read_report(report)
        software = ", ".join(f"{name} {version}" for name, version in provenance["software"].items() if version)
        seed, device, data = (provenance[name] for name in ("seed", "device", "data"))
    summary = re.sub(r"(?<!\S)/\S*/", "", summary)  # without the folders of one machine
    verdict = "\n".join(f"- {sentence}" for sentence in sentences)
    return (
        f"{verdict}\n\n{_fence(summary, 'text')}\n\nMeasured with seed {seed} on {device} by {software}. "
        f"SHA-256 of the data measured: `{data}`."
    )


def _fence(text: str, language: str) -> str:
    """Format a fenced code block, with a fence longer than any in the text."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{text}\n{fence}"


def _format_cell(text: str) -> str:
    """Escape a text for a cell of a Markdown table."""
    return format_line(text).replace("|", r"\|")


def _read_video_report(path: Path) -> tuple[Sequence[str], str, dict[str, Any]]:
    """The verdict, the tables and the provenance of an evaluation of clips."""
    from vidgan.evaluation.page import build_verdict
    from vidgan.evaluation.report import VideoReport
    from vidgan.evaluation.summary import format_summary

    report = read_report_json(VideoReport, path)
    return build_verdict(report), format_summary(report), report.provenance


def _read_translation_report(path: Path) -> tuple[Sequence[str], str, dict[str, Any]]:
    """The verdict, the tables and the provenance of an evaluation of translated clips."""
    from vidgan.translation.report import TranslationReport, format_summary

    report = read_report_json(TranslationReport, path)
    return list(map(str, report.verdicts())), format_summary(report), report.provenance


def _read_animation_report(path: Path) -> tuple[Sequence[str], str, dict[str, Any]]:
    """The verdict, the table and the provenance of an evaluation of animators."""
    from vidgan.animation.report import AnimationReport, format_summary

    report = read_report_json(AnimationReport, path)
    return list(map(str, report.verdicts())), format_summary(report), report.provenance


def _read_voxel_report(path: Path) -> tuple[Sequence[str], str, dict[str, Any]]:
    """The verdict, the tables and the provenance of an evaluation of objects."""
    from voxgan.evaluation.page import build_verdict
    from voxgan.evaluation.report import VoxelReport
    from voxgan.evaluation.summary import format_summary

    report = read_report_json(VoxelReport, path)
    return build_verdict(report), format_summary(report), report.provenance
