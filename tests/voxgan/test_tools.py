"""Training, measuring and the benchmark of objects from the command line, and what they say where they cannot go on."""

import json
import re
from pathlib import Path

import pytest
from support.calling import called
from support.toys import generator, packed

ROOT = Path(__file__).resolve().parents[2]
TINY = f"--config={ROOT / 'configs' / 'voxels' / 'tiny.yaml'}"
SMALL = ["--encoder.size=16", "--train.cpu", "--train.steps=4", "--train.log_every=2", "--train.preview_every=2"]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return packed(tmp_path_factory.mktemp("boxes"), count=16)


@pytest.fixture(scope="module")
def run(source, tmp_path_factory):
    """The folder of a tiny training on pictures."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    assert called("train_voxels", TINY, *SMALL, f"--data.path={source}", f"--run={folder}") == 0
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_training_leaves_all_that_a_run_folder_promises(run):
    left = {path.name for path in run.iterdir()}
    assert {"config.json", "stats.jsonl", "samples", "generator", "checkpoint-00000004"} <= left
    assert {path.name for path in (run / "generator").iterdir()} == {"config.json", "model.safetensors"}
    assert {path.name for path in (run / "samples").iterdir()} == {"step-00000002.png", "step-00000004.png"}
    lines = [json.loads(line) for line in (run / "stats.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "speed" in line] == [2, 4]
    assert {"held_out/iou@0.4/1_views", "held_out/iou@0.4/2_views"} <= set(lines[-1])


def test_a_finished_run_given_back_its_own_settings_changes_nothing(run, use):
    before = contents(run)
    said = use("train_voxels", f"--config={run / 'config.json'}", f"--run={run}")
    assert said.code == 0
    assert "trained at step 4 of 4" in said.out
    assert contents(run) == before


def test_the_furniture_that_comes_with_the_package_is_what_is_trained_on_by_default(use):
    flags = ["--encoder.kind=none", "--data.classes=chair", "--train.steps=1", "--train.preview_every=0", "--train.cpu"]
    said = use("train_voxels", TINY, *flags)
    assert said.code == 0, said.err
    assert json.loads(Path("runs/voxels_tiny/generator/config.json").read_text())["model"] == "VoxelGenerator"


def test_a_data_set_too_small_to_hold_anything_out_is_trained_on_all_the_same(use, tmp_path):
    few = packed(tmp_path / "few", count=3)
    said = use("train_voxels", TINY, *SMALL, f"--data.path={few}", "--run=run")
    assert said.code == 0, said.err
    assert Path("run/samples").exists()
    assert not Path("run/best").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("small_turns")
def test_an_evaluation_prints_rivals_beside_the_model_and_writes_a_report(run, source, use):
    flags = [
        "--generated_objects=2",
        "--views=1,2",
        "--view_draws=1",
        "--out=new/report",
        "--rating_page=rate.html",
        "--cpu",
    ]
    said = use("evaluate_voxels", f"--model={run / 'generator'}", f"--data={source}", *flags)
    assert said.code == 0, said.err
    for row in ("model, 1 view", "ridge regression, 1 view", "nearest picture, 1 view", "mean shape", "oracle"):
        assert row in said.out
    assert {"reconstruction", "generation", "settings"} <= set(json.loads(Path("new/report/report.json").read_text()))


@pytest.mark.slow
def test_the_benchmark_prints_training_preparing_and_meshing(use, monkeypatch):
    monkeypatch.setattr("gancore.benchmark.run_in_subprocess", lambda work, *args, **options: work(*args, **options))
    monkeypatch.setattr("vidvox.commands.benchmark.PREPARED_SIDES", (8,))
    monkeypatch.setattr("vidvox.commands.benchmark.MESHED_SIDES", (16,))
    said = use("benchmark", "voxels", "--presets=tiny", "--repeats=1", "--cpu")
    assert said.code == 0, said.err
    assert re.search(r"^tiny: training step .* GFLOP/s$", said.out, re.M), said.out
    assert "marching cubes" in said.out


@pytest.mark.parametrize("tool", ["train_voxels", "prepare_shapes", "export_mesh", "evaluate_voxels"])
def test_help_lists_every_setting_with_what_it_means(use, tool):
    said = use(tool, "--help")
    assert said.code == 0
    assert said.err == ""
    assert said.out.startswith(f"usage: {tool}.py")
    assert not [line for line in said.out.splitlines() if re.fullmatch(r"  --[\w.]+ \S+ +\(type.*", line)]


@pytest.fixture
def bad(tmp_path, run, source):
    """Places to go wrong, by the names in braces below."""
    (tmp_path / "meshes").mkdir()
    (tmp_path / "meshes" / "box.obj").write_text("v 0 0 0")
    broken = packed(tmp_path / "broken", count=8)
    (broken / "occupancy.npy").write_bytes((broken / "occupancy.npy").read_bytes()[:100])
    generator().save_pretrained(tmp_path / "noise")
    return {"bad": tmp_path, "run": run, "model": run / "generator", "source": source}


TRAIN = ["train_voxels", TINY, *SMALL, "--data.path={source}", "--run={bad}/run"]
MISTAKES = {
    "no such data": ([*TRAIN, "--data.path={bad}/none"], "no such folder of a packed data set: .*none"),
    "meshes as data": ([*TRAIN, "--data.path={bad}/meshes"], r"make one of meshes .* vidvox prepare"),
    "broken data": ([*TRAIN, "--data.path={bad}/broken"], "broken is not a readable packed data set"),
    "an unknown class": ([*TRAIN, "--data.classes=sofa"], "data.classes: .* has no sofa; there are lamp, stool"),
    "pictures of a wrong size": (
        [*TRAIN, "--encoder.size=100"],
        "encoder.size must be a power of two from 16 to 4096, got 100",
    ),
    "the paper's pictures": ([*TRAIN, "--encoder.kind=paper"], "encoder.size must be 256 for the paper's encoder"),
    "three steps of noise": (
        [*TRAIN, "--encoder.kind=none", "--objective.update_order=three-step"],
        "objective.update_order: without",
    ),
    "no game for noise": (
        [*TRAIN, "--encoder.kind=none", "--objective.adversarial_weight=0"],
        "the adversarial loss is needed from the start",
    ),
    "no reconstruction": (
        [*TRAIN, "--objective.mean_bce_weight=0"],
        "an encoder needs a reconstruction; set one of mean_bce",
    ),
    "proportions that pictures do not follow": (
        [*TRAIN, "--data.proportions=0.2"],
        "data.proportions: the encoder's images would not match",
    ),
    "a uniform prior": (
        [*TRAIN, "--generator.latent_prior=uniform"],
        r"generator.latent_prior: the encoder's KL divergence assumes N\(0, I\)",
    ),
    "a mixture": (
        [*TRAIN, "--generator.latent_prior=mixture"],
        r"generator.latent_prior: the encoder's KL divergence assumes N\(0, I\)",
    ),
    "the latents of no encoder": (
        [*TRAIN, "--encoder.kind=none", "--generator.latent_prior=aggregate"],
        "generator.latent_prior: aggregate is the prior of an encoder's latents; choose another",
    ),
    "reconstructions without an encoder": (
        [*TRAIN, "--encoder.kind=none", "--objective.judge_reconstructions"],
        "objective.judge_reconstructions: without an encoder there are no reconstructions",
    ),
    "more levels of patches than maps": (
        [*TRAIN, "--discriminator.patch_levels=3"],
        r"discriminator.patch_levels must be at most \d for \d+ voxels, got 3",
    ),
    "no mixture": (
        [*TRAIN, "--encoder.kind=none", "--generator.latent_prior=mixture", "--generator.mixture_components=0"],
        "generator.mixture_components must be at least 1, got 0",
    ),
    "a stretch": ([*TRAIN, "--objective.augment.stretch=2"], r"objective.augment.stretch must lie in \[0, 1\], got 2"),
    "a typo": ([*TRAIN, "--encoder.sise=32"], "unknown key --encoder.sise; did you mean --encoder.size"),
    "another generator": ([*TRAIN, "--run={run}", "--generator.base_channels=8"], "is of another architecture"),
    "a mirror": ([*TRAIN, "--data.augment.crop_jitter=2"], r"data.augment.crop_jitter must lie in \[0, 1\], got 2"),
    "nothing to measure": (["evaluate_voxels", "--model={bad}/none"], "none is neither a folder with a model"),
    "another size to measure": (
        ["evaluate_voxels", "--model={model}", "--data=furniture"],
        "32 voxels a side, and .* generates 8",
    ),
    "no views": (["evaluate_voxels", "--model={model}", "--data={source}", "--views=0"], "views must be one or more"),
    "an unknown preset": (
        ["benchmark", "voxels", "--presets=huge"],
        "presets: unknown preset huge; choose from tiny",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_clear_line_and_overwrites_nothing(use, bad, mistake):
    flags, complaint = MISTAKES[mistake]
    before = contents(bad["run"]) | contents(bad["bad"])
    tool, *rest = (flag.format(**bad) for flag in flags)
    said = use(tool, *rest)
    assert said.code == 2
    assert said.err.startswith(f"{tool}.py: error: ")
    assert said.err.count("\n") == 1
    assert re.search(complaint, said.err), said.err
    assert contents(bad["run"]) | contents(bad["bad"]) == before
