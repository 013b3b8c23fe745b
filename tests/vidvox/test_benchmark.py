"""What the benchmark prints and writes."""

import itertools
import json
import re
from pathlib import Path

import pytest


@pytest.mark.slow
def test_the_benchmark_prints_training_prediction_and_reading(use, monkeypatch):
    monkeypatch.setattr("gancore.benchmark.run_in_subprocess", lambda work, *args, **options: work(*args, **options))
    said = use("benchmark", "video", "--presets=tiny", "--repeats=1", "--cpu")
    assert said.code == 0, said.err
    lines = said.out.splitlines()
    for work in ("training step", "prediction"):
        line = next(line for line in lines if line.startswith(f"tiny, width 4, 4 -> 4 frames: {work}"))
        assert re.search(r" 4  +\d\.\d\d M +\d+\.\d\d +\d+ MiB +\d+\.\d\d +\d+% of \d+ GFLOP/s$", line)
    assert next(line for line in lines if line.startswith("data path")).endswith("%")
    assert next(line for line in lines if line.startswith("bare PyAV decoding")).endswith("100%")


@pytest.mark.slow
def test_the_benchmark_prints_what_every_metric_costs_beside_plain_library_calls(use, monkeypatch):
    for name, value in {"FRAMES": 10, "SIDE": 32, "ROWS": 96, "BENCHMARKED_NETWORKS": ("transnet",)}.items():
        monkeypatch.setattr(f"vidgan.evaluation.benchmark.{name}", value)
    said = use("benchmark", "metrics", "--repeats=1", "-o", "metrics.json")
    assert said.code == 0, said.err
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in said.out.splitlines() if line.startswith("|")]
    beside = {row[0]: after for row, after in itertools.pairwise(rows)}
    for metric in ("ssim", "Frechet distance", "Chamfer, F-score, normals"):
        assert beside[metric][0] == ""
        assert float(beside[metric][-1]) > 0
    for metric in ("ms_ssim", "Wasserstein, sliced", "AP with and without alignment", "JSD"):
        assert metric in {row[0] for row in rows}
    tables = json.loads(Path("metrics.json").read_text())["tables"]
    assert sum(len(table["seconds"]) for table in tables.values()) == len([row for row in rows if row[1] == "vidvox"])


@pytest.mark.slow
def test_the_benchmark_prints_what_everything_costs_beside_what_else_could_be_used(use, monkeypatch):
    settings = {
        "PEER_FRAMES": ("--data.height=16", "--data.width=16", "--data.context_frames=2", "--data.clip_frames=6"),
        "PREDICTED": ((2, 16, 16),),
        "SIZES": ((2, 16, 16), (4, 16, 16)),
        "PEER_SIDE": 16,
        "PREPARED_SIDES": (8,),
        "MESHED_SIDES": (16,),
    }
    for name, value in settings.items():
        monkeypatch.setattr(f"vidvox.commands.benchmark.{name}", value)
    said = use("benchmark", "peers", "--repeats=1", "-o", "peers.json")
    assert said.code == 0, said.err
    for part in ("limit of this machine", "simvp", "convlstm", "PyAV", "textbook 3D-GAN", "libigl", "scikit-image"):
        assert part in said.out, part
    report = json.loads(Path("peers.json").read_text())
    assert report["repeats"] == 1
    assert all(
        0 < side["least"] <= side["median"] <= side["most"]
        for table in report["tables"].values()
        for sides in table["seconds"].values()
        for side in sides.values()
    )
