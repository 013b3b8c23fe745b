"""From a folder of videos or meshes to predictions and meshes, from any folder, by the command line alone."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image
from safetensors.torch import load_file
from support.calling import called_vidvox
from support.tiny import synthesiser
from support.toys import boxes, picture

import vidvox
from gancore.model_files import find_bundled_models
from gancore.parsing import from_dict
from gancore.splits import is_held_out
from vidgan.config import VideoConfig
from vidgan.files.video import read_clip, write_clip
from voxgan.commands import PrepareConfig
from voxgan.config import VoxelConfig
from voxgan.data.packed import open_packed_dataset

SMALL_VIDEO = ["--train.cpu", "--train.batch=2", "--data.height=16", "--data.width=16"]
SMALL_VIDEO += ["--generator.channel_multipliers=4,2"]
SMALL_VOXELS = ["--train.cpu", "--train.batch=4", "--encoder.size=16", "--train.steps=2"]


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> Path:
    """A folder of two short films, of which one is held out, and a longer film beside it."""
    folder = tmp_path_factory.mktemp("films") / "VIDEOS"
    names = [f"{number}.mp4" for number in range(100)]
    trained, held_out = (next(name for name in names if is_held_out(name, 0.1) is part) for part in (False, True))
    for path, frames in {folder / trained: 12, folder / held_out: 12, folder.parent / "long.mp4": 90}.items():
        noise = torch.randint(256, (frames, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
        write_clip(path, noise, rate=12)
    return folder


@pytest.fixture(scope="module")
def run(videos) -> Path:
    """A run folder of a training on them."""
    folder = videos.parent / "runs" / "x"
    words = ["--config", "tiny", "--run", folder, "--train.steps", 3, "--data.channels", 3, *SMALL_VIDEO]
    assert called_vidvox("train", "video", videos, *words) == 0
    return folder


@pytest.fixture(scope="module")
def shapes(tmp_path_factory) -> Path:
    """A run folder of a training on a folder of meshes, one of them broken; and a picture beside it."""
    folder = tmp_path_factory.mktemp("shapes")
    for number in range(8):
        size = np.random.default_rng(number).uniform(0.3, 1, 3)
        (folder / "MESHES").mkdir(exist_ok=True)
        trimesh.creation.box(size).export(folder / "MESHES" / f"box{number}.ply")
    (folder / "MESHES" / "broken.obj").write_text("v 0 0 0")
    Image.fromarray(picture(boxes(1), from_side=False)).save(folder / "box.png")
    words = ["--config", "tiny", "--run", folder / "runs" / "y", *SMALL_VOXELS]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PrepareConfig, "views", 2)
        assert called_vidvox("train", "voxels", folder / "MESHES", *words) == 0
    return folder / "runs" / "y"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# --------------------------------------------------------------------------------------------------------------- video


def test_a_folder_of_videos_becomes_a_run_folder_whose_settings_any_tool_reads(run, run_vidvox):
    assert {"config.json", "stats.jsonl", "generator"} <= {path.name for path in run.iterdir()}
    settings = from_dict(VideoConfig, json.loads((run / "config.json").read_text()))
    assert (settings.train.steps, settings.data.channels, settings.data.clip_frames) == (3, 3, 8)
    before = contents(run)
    said = run_vidvox("train", "video", "--config", run / "config.json")
    assert said.code == 0
    assert said.out.endswith(f"trained at step 3 of 3: {run}\n")
    assert contents(run) == before


def test_a_run_folder_is_enough_to_predict_and_the_suffix_says_what_is_written(run, videos, run_vidvox):
    film = videos.parent / "long.mp4"
    words = ["predict", film, "-m", run, "--samples", 2, "--steps", 3, "--labels", "false"]
    for name in ("future.mp4", "FUTURE.GIF", "frames"):
        assert run_vidvox(*words, "-o", name) == (0, f"3 frames, 2 futures: {name}\n", "")
        assert read_clip(name).frames.shape[0] == 3
    assert run_vidvox(*words, "-o", "future.npy").code == 0
    future = vidvox.load(run).predict(film, steps=3, samples=2)
    assert np.array_equal(np.load("future.npy"), future.frames.numpy())


def test_one_film_is_enough_to_train_on(videos, run_vidvox):
    film = videos.parent / "long.mp4"
    said = run_vidvox("train", "video", film, "--config", "tiny", "--train.steps", 1, *SMALL_VIDEO)
    assert said.code == 0, said.err
    assert Path("runs/tiny/generator").is_dir()


def test_a_folder_of_films_to_predict_is_answered_with_their_names(run, videos, run_vidvox):
    said = run_vidvox("predict", videos, "-m", run)
    assert said.code == 2
    assert re.search(r"VIDEOS is a folder of videos \(\d+\.mp4, \d+\.mp4\): name one of them", said.err)


def test_frames_too_small_to_be_compared_are_refused_and_nothing_is_written(run, run_vidvox):
    np.save("tiny.npy", np.zeros((20, 5, 3, 3), np.uint8))
    said = run_vidvox("predict", "tiny.npy", "-m", run, "--compare", "--steps", 2, "-o", "tiny.gif")
    assert (said.code, Path("tiny.gif").exists()) == (2, False)
    assert "SSIM needs frames of at least 7x7 pixels, not 5x3" in said.err


def test_floats_are_read_as_frames(run, run_vidvox):
    np.save("clip.npy", np.random.default_rng(0).random((6, 16, 16, 3), np.float32))
    assert run_vidvox("predict", "clip.npy", "-m", run, "-o", "future.mp4").code == 0
    np.save("clip.npy", np.full((6, 16, 16, 3), 200.0, np.float32))
    assert re.search(
        r"clip\.npy holds floats .* outside \[0, 1\]", run_vidvox("predict", "clip.npy", "-m", run, "--overwrite").err
    )


def test_another_architecture_in_an_old_run_folder_is_named_with_what_to_do(run, videos, run_vidvox):
    before = contents(run)
    words = ["--config", run / "config.json", "--generator.base_channels", 8, "--train.steps", 9]
    said = run_vidvox("train", "video", videos, *words)
    assert said.code == 2
    line = said.err.splitlines()[-1]
    assert re.search(r"is of another architecture: generator\.base_channels was 4 and is 8; choose another --run", line)
    assert line.endswith(f"add --config {run / 'config.json'} to resume with its settings")
    assert contents(run) == before


def test_clips_are_generated_from_noise(run, run_vidvox):
    synthesiser("modern").save_pretrained("ucf/generator")
    assert run_vidvox("generate", "-m", "ucf", "-n", 4) == (0, "4 clips of 5 frames: samples.mp4\n", "")
    assert run_vidvox("generate", "ucf", "-n", 1, "-o", "one.npy").code == 0
    said = run_vidvox("generate", "-m", run)
    assert (said.code, "it predicts how a video continues: vidvox predict" in said.err) == (2, True)


def test_an_evaluation_takes_the_data_of_the_run_and_the_card_its_verdict(run, videos, run_vidvox, tmp_path):
    report = tmp_path / "report"
    said = run_vidvox("evaluate", run, "--max_items", 2, "--samples", 2, "--networks", "none", "-o", report)
    assert said.code == 0, said.err
    assert said.out.startswith(f"{videos}, test: ")
    words = ["push", run, "user/name", "--report", report / "report.json", "--licence", "mit", "-o", "card"]
    said = run_vidvox(*words, "--data", "Noise, made for a test.")
    assert said == (0, "card/README.md; nothing was uploaded\n", "")
    assert {path.name for path in Path("card").iterdir()} == {"README.md", "config.json", "model.safetensors"}
    card = Path("card/README.md").read_text()
    assert card.startswith("---\nlibrary_name: vidvox\n")
    assert "license: mit\n" in card
    for words in ("vidvox predict clip.mp4 -m user/name", "Noise, made for a test.", "| train.steps | 3 |", "SHA-256"):
        assert words in card
    assert re.search(r"^- CRPS: .* is (better|worse) than .* \(the best baseline\)", card, re.M)
    assert str(videos.parent) not in card
    assert type(vidvox.load("card")) is type(vidvox.load(run))


def test_a_card_without_a_report_says_so(run, run_vidvox):
    said = run_vidvox("push", run, "user/name", "-o", "card")
    assert said.code == 0
    assert said.out.startswith("no report: the card has no metrics (vidvox evaluate ")
    assert "Not evaluated yet." in Path("card/README.md").read_text()


def test_without_a_recipe_a_training_goes_on_from_the_model_of_the_package(videos, run_vidvox):
    words = ["train", "video", videos, *SMALL_VIDEO[:-1], "--data.clip_frames=9", "--train.generator_lr=1e-6"]
    words += ["--train.steps=1"]
    assert run_vidvox(*words, "--run", "further").code == 0
    started = load_file(find_bundled_models()["vidvox/predict-small"] / "model.safetensors")
    further = load_file("further/generator/model.safetensors")
    assert started.keys() == further.keys()
    assert all(torch.allclose(further[name], started[name], atol=1e-5) for name in started)
    said = run_vidvox(*words, "--run", "grey", "--data.channels", 1)
    assert said.code == 2
    assert "vidvox/predict-small is for other data: channels is 3 and not 1, " in said.err
    assert said.err.endswith("; --train.start_from none begins from scratch\n")
    assert not Path("grey/generator").exists()


# -------------------------------------------------------------------------------------------------------------- voxels


def test_a_folder_of_meshes_is_prepared_beside_the_run_and_trained_on(shapes, run_vidvox):
    data = shapes.with_name("y-data")
    settings = from_dict(VoxelConfig, json.loads((shapes / "config.json").read_text()))
    assert settings.data.path == str(data)
    assert "broken,,,0,,,failed," in (data / "manifest.csv").read_text()
    said = run_vidvox("train", "voxels", data, "--config", "tiny", "--run", shapes, *SMALL_VOXELS)
    assert said.code == 0
    assert said.out.endswith(f"trained at step 2 of 2: {shapes}\n")


def test_preparing_says_what_failed_and_where_to_read_why(shapes, run_vidvox):
    words = ["--config", "tiny", "--run", "runs/z", *SMALL_VOXELS, "--encoder.kind=none", "--train.steps=1"]
    said = run_vidvox("train", "voxels", shapes.parents[1] / "MESHES", *words)
    assert said.code == 0, said.err
    assert re.match(
        r"preparing .*MESHES as the data set runs/z-data \(32 voxels a side\)\n8 objects .*, 1 failed", said.out
    )


def test_meshes_are_prepared_at_the_side_that_is_to_be_learnt(shapes, run_vidvox):
    words = ["--config", "tiny", "--run", "runs/z", *SMALL_VOXELS, "--encoder.kind=none", "--train.steps=1"]
    said = run_vidvox("train", "voxels", shapes.parents[1] / "MESHES", *words, "--data.side=16")
    assert said.code == 0, said.err
    assert "as the data set runs/z-data (16 voxels a side)" in said.out
    assert open_packed_dataset("runs/z-data").side == 16


def test_a_data_set_is_prepared_on_its_own(shapes, run_vidvox):
    words = ["-o", "DATASET", "--side", 8, "--views", 1, "--view_size", 32, "--workers", 1]
    said = run_vidvox("prepare", shapes.parents[1] / "MESHES", *words)
    assert said.code == 0, said.err
    assert re.fullmatch(r"8 objects \(\d train, \d val, \d test\), 1 failed: DATASET\n", said.out)


def test_a_picture_becomes_a_mesh_with_a_preview(shapes, run_vidvox):
    words = ["-m", shapes, "-o", "box.glb", "--preview", "box.GIF", "--preview_size", 32, "--threshold", 0.05]
    said = run_vidvox("mesh", shapes.parents[1] / "box.png", *words)
    assert said.code == 0, said.err
    assert re.fullmatch(r"box\.glb: \d+ faces, .* mm \(width, height, depth\)\n", said.out)
    assert trimesh.load_mesh("box.glb").is_volume
    assert len(read_clip("box.GIF").frames) == 48


def test_objects_are_generated_from_noise_and_numbered(shapes, run_vidvox):
    said = run_vidvox("generate", "-m", shapes, "-n", 2, "-o", "new/box.stl", "--size_mm", 80, "--threshold", 0.05)
    assert said.code == 0, said.err
    assert {path.name for path in Path("new").iterdir()} == {"box-1.stl", "box-2.stl"}
    said = run_vidvox("generate", "-m", shapes, "--images", "box.png")
    assert (said.code, "vidvox mesh" in said.err) == (2, True)


@pytest.mark.usefixtures("small_turns")
def test_a_model_of_objects_is_measured_on_the_data_of_its_run(shapes, run_vidvox):
    words = ["--generated_objects", 2, "--renders_per_object", 0, "--view_draws", 1, "--views", 1, "-o", "report"]
    said = run_vidvox("evaluate", shapes, *words)
    assert said.code == 0, said.err
    assert json.loads(Path("report/report.json").read_text())["settings"]["data"] == str(shapes.with_name("y-data"))
    assert run_vidvox("push", shapes, "user/name", "--report", "report/report.json", "-o", "card").code == 0
    assert re.search(
        r"^- IoU: .* is (better|worse) than .* \(the best baseline\)", Path("card/README.md").read_text(), re.M
    )


def test_a_model_of_some_classes_is_measured_on_those_of_its_run_and_on_all_of_other_data(shapes, run_vidvox):
    run, words = shapes.with_name("boats"), ["-o", "report", "--generated_objects", 2]
    shutil.copytree(shapes, run)
    settings = json.loads((run / "config.json").read_text())
    settings["data"]["classes"] = ["boat"]
    (run / "config.json").write_text(json.dumps(settings))
    assert "boat" in run_vidvox("evaluate", run, *words).err
    said = run_vidvox("evaluate", run, *words, "--data", "elsewhere")
    assert (said.code, "boat" in said.err) == (2, False)


# --------------------------------------------------------------------------------------------------------------- other


def test_the_doctor_says_what_is_there_and_what_to_type_for_what_is_not(run_vidvox, monkeypatch, tmp_path):
    monkeypatch.setenv("VIDVOX_CACHE", str(tmp_path))
    said = run_vidvox("doctor")
    assert (said.code, said.err) == (0, "")
    assert re.search(rf"^  \+ vidvox +{re.escape(vidvox.__version__)}$", said.out, re.M)
    assert re.search(rf"^  \+ torch +{re.escape(torch.__version__.partition('+')[0])}", said.out, re.M)
    assert re.search(r"^  - i3d +missing; .*: vidvox fetch i3d \(50\.8 MB\)$", said.out, re.M)
