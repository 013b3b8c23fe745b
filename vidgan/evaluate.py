"""How good predictions are on held-out clips, frame by frame into the future, beside two that need no model."""

import inspect
import json
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from accelerate.utils import tqdm
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from gancore.atomic import replacing
from gancore.config import to_dict
from gancore.data import Draws, Sample
from gancore.tables import table
from vidgan import metrics
from vidgan.dataset import Clips, DataConfig, collate, open_dataset
from vidgan.generate import run_of
from vidgan.generator import FramePredictor
from vidgan.objective import Futures, imagine
from vidgan.predict import device

ERRORS = (metrics.mse_per_frame, metrics.psnr, metrics.ssim)
COLUMNS = 10
"""Lead times in a printed table, evenly spaced."""

Curves = dict[str, Float[Tensor, " time"]]


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """Measure a predictor on held-out clips, by default those of the run that its folder lies in."""

    model: str
    """Folder of a trained FramePredictor (runs/NAME/generator), or the name of one on the Hub."""

    data: DataConfig = field(default_factory=DataConfig)
    """Which clips; what is not given here is as in the config.json of the model's run, if there is one."""

    samples: int = 8
    """Futures of each past."""

    clips: int = 256
    """Clips measured, evenly spaced over the held-out ones; all of them if there are fewer."""

    batch: int = 4
    """Clips at a time, which bounds the memory needed; the scores do not depend on it."""

    seed: int = 0
    """Seed of the futures."""

    out: str = ""
    """JSON file for all numbers and the protocol; empty for none."""

    cpu: bool = False
    """Stay on the CPU even if there is a GPU."""

    def __post_init__(self) -> None:
        for name in ("samples", "clips", "batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.data.context < 1:
            raise ValueError("data.context: without a past there is nothing to predict from")


@contextmanager
def behind_run_settings(flags: Sequence[str]) -> Iterator[list[str]]:
    """The flags of an evaluation, preceded by a file with the data settings of the model's run if there is one."""
    peek = ArgumentParser(add_help=False, allow_abbrev=False)
    peek.add_argument("--model", nargs="?", default="", const="")
    run = run_of(peek.parse_known_args(flags)[0].model)
    with TemporaryDirectory() as folder:
        file = Path(folder, "config.json")
        file.write_text(json.dumps({"data": to_dict(run.data)} if run else {}), encoding="utf-8")
        yield ["--config", str(file), *flags]


@torch.inference_mode()
def evaluate(config: EvaluateConfig) -> dict[str, Any]:
    """The report: a protocol, scores by metric and forecast and lead time, ratios and diversity by lead time.

    Raises ValueError if the model or the clips cannot be read or do not fit each other.
    """
    place = device(cpu=config.cpu)
    model = FramePredictor.from_pretrained(config.model).to(place)
    if model.shape.channels != config.data.channels:
        raise ValueError(f"data.channels is {config.data.channels}, and {config.model} knows {model.shape.channels}")
    dataset = open_dataset(config.data, train=False)
    count = min(config.clips, len(dataset))
    totals: Curves = {}
    for first in tqdm(range(0, count, config.batch), unit="batch", leave=False):
        numbers = range(first, min(first + config.batch, count))
        items = [dataset[Sample(number * len(dataset) // count, 0)] for number in numbers]
        batch = collate(items, config.data.context).to(place)
        futures = imagine(
            model, batch, Draws(config.seed, first=first, total=count, device=place), samples=config.samples
        )
        for name, curve in curves(batch, futures).items():
            totals[name] = totals.get(name, 0) + curve.double().cpu() * len(batch) / count
    return {"protocol": protocol(config, count), **scores(totals)}


def curves(batch: Clips, futures: Futures) -> Curves:
    """Everything measured on a batch by lead time, as means over its clips that can be averaged further."""
    past, true = batch.past, batch.future
    samples = futures.shape[1]
    each, true_each = rearrange(futures, "b n ... -> (b n) ..."), true.repeat_interleave(samples, 0)
    forecasts = {
        "mean of samples": (futures.mean(1), true),
        "single samples": (each, true_each),
        "last frame repeated": (past[:, -1:].expand_as(true), true),
        "all black": (torch.full_like(true, -1), true),
    }
    measured = {f"{metric.__name__}/{name}": metric(*pair) for metric in ERRORS for name, pair in forecasts.items()}
    last = past[:, -1:]
    for name, clip, before in [("sample", each, last.repeat_interleave(samples, 0)), ("true", true, last)]:
        measured[f"sharpness/{name}"] = metrics.sharpness(clip)
        measured[f"motion/{name}"] = motion(torch.cat([before, clip], 1))
    if samples > 1:
        measured["squared diversity"] = metrics.diversity(futures) ** 2
    return measured


def motion(clip: metrics.Clip) -> Float[Tensor, " steps"]:
    """Mean absolute difference of each frame from the one before it, on a range of one."""
    return (clip.diff(dim=1) / 2).abs().mean((0, 2, 3, 4))


def scores(totals: Curves) -> dict[str, Any]:
    """The report's numbers as plain lists over lead times; null where nothing true is there to be compared with."""
    report: dict[str, Any] = {metric.__name__: {} for metric in ERRORS}
    for metric in report:
        for name, curve in totals.items():
            if name.startswith(f"{metric}/"):
                report[metric][name.partition("/")[2]] = curve.tolist()
    for name in ("sharpness", "motion"):
        ratio = totals[f"{name}/sample"] / totals[f"{name}/true"]
        report[f"{name}_ratio"] = [
            value if value == value and value != float("inf") else None for value in ratio.tolist()
        ]
    report["diversity"] = totals["squared diversity"].sqrt().tolist() if "squared diversity" in totals else None
    return report


def protocol(config: EvaluateConfig, count: int) -> dict[str, Any]:
    """All that must be known to compare the scores with others."""
    measures = [*ERRORS, metrics.sharpness, motion, metrics.diversity]
    return {
        "model": config.model,
        "data": to_dict(config.data),
        "split": "held-out",
        "context": config.data.context,
        "future": config.data.frames - config.data.context,
        "clips": count,
        "samples": config.samples,
        "seed": config.seed,
        "conventions": {
            **{measure.__name__: (inspect.getdoc(measure) or "").partition("\n")[0] for measure in measures},
            "sharpness_ratio, motion_ratio": "Mean over samples, divided by the mean over true frames.",
        },
    }


def write(report: Mapping[str, Any], path: str | Path) -> None:
    """Writes JSON; an older report stays whole until the new one is."""
    with replacing(Path(path)) as partial:
        partial.write_text(json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def summary(report: Mapping[str, Any]) -> str:
    """The protocol in a line, then a table of each metric over some lead times and their mean over all."""
    about, data = report["protocol"], report["protocol"]["data"]
    heading = (
        f"{data['source']}, held out: {about['clips']} clips of {data['height']}x{data['width']}, "
        f"{about['context']} -> {about['future']} frames, {about['samples']} samples, seed {about['seed']}"
    )
    ratios = {
        "sharpness, samples / true": report["sharpness_ratio"],
        "motion, samples / true": report["motion_ratio"],
        "difference between samples": report["diversity"],
    }
    blocks = [
        _over_time("MSE summed per frame", report["mse_per_frame"], digits=1),
        _over_time("PSNR (dB)", report["psnr"], digits=2),
        _over_time("SSIM", report["ssim"], digits=3),
        _over_time("look", {name: curve for name, curve in ratios.items() if curve}, digits=3),
    ]
    return "\n\n".join([heading, *blocks])


def _over_time(title: str, rows: Mapping[str, Sequence[float | None]], *, digits: int) -> str:
    steps = len(next(iter(rows.values())))
    shown = sorted({round(place * (steps - 1) / max(COLUMNS - 1, 1)) for place in range(COLUMNS)})
    known = {name: [value for value in curve if value is not None] for name, curve in rows.items()}
    cells = {
        name: [*(curve[step] for step in shown), sum(known[name]) / len(known[name]) if known[name] else None]
        for name, curve in rows.items()
    }
    text = {name: ["-" if cell is None else f"{cell:.{digits}f}" for cell in row] for name, row in cells.items()}
    return table(title, [*(str(step + 1) for step in shown), "mean"], text)
