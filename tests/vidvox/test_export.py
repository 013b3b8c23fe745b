"""Exported models compute what the networks compute, without them: in ONNX Runtime and as programs of torch.export."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from support.exported import Exported
from support.tiny import SHAPE, clips, predictor, synthesiser
from support.translators import translator

from gancore.model_files import find_bundled_models
from vidgan.files.video import read_clip
from vidgan.frames import resize_and_crop, to_float
from vidgan.networks.generator import FramePredictor
from vidgan.networks.translator import ClipTranslator
from voxgan.config import VoxelEncoderConfig, VoxelGeneratorConfig, VoxelShape
from voxgan.files.images import cut_out_object, frame_object
from voxgan.networks.generator import VoxelGenerator
from voxgan.networks.image_to_voxels import ImageToVoxels

ROOT = Path(__file__).resolve().parents[2]
TOLERANCE = 1e-4
STEPS = 10


def predict(exported: Exported, past: np.ndarray, latent: np.ndarray, *, steps: int) -> np.ndarray:
    """Futures of one past, a step at a time."""
    states = {name: state.repeat(len(latent), 0) for name, state in exported.run("encode", past=past).items()}
    frames = []
    for time in range(steps):
        outputs = exported.run("step", latent=latent, time=np.array(time), **states)
        frames.append(outputs.pop("frame"))
        states |= {name.removeprefix("next_"): state for name, state in outputs.items()}
    return np.stack(frames, 1)


def latents(count: int, size: int) -> torch.Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(3))


@torch.no_grad()
def assert_predicts_the_same(model: FramePredictor, exported: Exported, past: torch.Tensor, *, steps: int) -> None:
    latent = latents(3, model.config.latent_dim)
    wanted = model(past, latent, steps=steps).numpy()
    found = predict(exported, past.numpy(), latent.numpy(), steps=steps)
    assert found.shape == wanted.shape
    assert np.abs(wanted[:, -1] - wanted[:, 0]).max() > 10 * TOLERANCE
    assert np.abs(found - wanted).max() <= TOLERANCE


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        pytest.param("modern", ".pt2", marks=pytest.mark.long),
        pytest.param("paper", ".onnx", marks=pytest.mark.long),
        pytest.param("modern", ".onnx", marks=pytest.mark.long),
        pytest.param("trivd", ".onnx", marks=pytest.mark.long),
    ],
)
def test_a_future_comes_step_by_step_and_is_that_of_the_network(name, suffix, tmp_path):
    model = predictor(name)
    size = (19, 21) if name == "modern" else (16, 16)
    exported = Exported(model, tmp_path, suffix, "--size", f"{size[0]}x{size[1]}")
    past = clips(1, frames=2, height=size[0], width=size[1])
    steps = STEPS if suffix == ".onnx" else 2
    assert_predicts_the_same(model, exported, past, steps=steps)


@pytest.mark.slow
def test_the_predictor_of_the_package_gives_the_same_ten_frames_of_a_film(tmp_path):
    folder = find_bundled_models()["vidvox/predict-small"]
    model = FramePredictor.from_pretrained(folder)
    film = resize_and_crop(read_clip(ROOT / "vidgan" / "assets" / "pedestrians.mp4").frames[:5], 64, 64)
    exported = Exported(folder, tmp_path, ".onnx")
    assert "it-step.onnx" in exported.said
    assert_predicts_the_same(model, exported, to_float(film)[None], steps=STEPS)


@pytest.mark.slow
def test_a_future_of_sprites_comes_as_a_whole(tmp_path):
    model = predictor("sprites")
    exported = Exported(model, tmp_path, ".pt2", "--steps", "2")
    past, latent = clips(1, frames=2), latents(2, 6)
    with torch.no_grad():
        wanted = model(past, latent, steps=2).numpy()
    found = exported.run("predict", past=past.numpy(), latent=latent.numpy())["frames"]
    assert found.shape == (2, 2, SHAPE.channels, 16, 16)
    assert np.abs(found - wanted).max() <= TOLERANCE


@pytest.mark.slow
def test_clips_of_a_class_are_generated(tmp_path):
    model = synthesiser("modern")
    exported = Exported(model, tmp_path, ".onnx", "--steps", "3")
    latent, label = latents(4, 6), torch.tensor([2, 0, 1, 1])
    with torch.no_grad():
        wanted = model(latent, label, steps=3).numpy()
    found = exported.run("generate", latent=latent.numpy(), label=label.numpy())["frames"]
    assert exported.graphs["generate"]["file"] == "it.onnx"
    assert np.abs(found - wanted).max() <= TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize(("name", "suffix"), [("upscale-2", ".onnx"), ("fill", ".pt2")])
def test_films_are_translated_in_windows(name, suffix, tmp_path):
    folder = find_bundled_models()[f"vidvox/{name}"]
    model = ClipTranslator.from_pretrained(folder)
    exported = Exported(folder, tmp_path, suffix, "--size", "18x22", "--steps", "4")
    random = np.random.default_rng(0)
    given = {"source": random.uniform(-1, 1, (3, 4, 3, 18, 22)).astype(np.float32)}
    if model.shape.masked:
        given["known"] = random.random((3, 4, 1, 18, 22)) > 0.3
        given["known"][0] = np.array([True, False, True, True])[:, None, None, None]  # a missing frame
    with torch.no_grad():
        wanted = model(*map(torch.from_numpy, given.values())).numpy()
    found = exported.run("translate", **given)["target"]
    assert found.shape == wanted.shape == (3, 4, 3, 18 * model.shape.scale, 22 * model.shape.scale)
    assert np.abs(found - wanted).max() <= TOLERANCE


@pytest.mark.parametrize("settings", [{"propagation": "none"}, {"neighbours": 0, "output": "frames"}])
def test_a_translator_that_sees_no_neighbours_adds_no_frame(settings, tmp_path):
    """ONNX takes a frame that is expanded to none for one frame: every target was that of the frame before."""
    model = translator(**settings)
    exported = Exported(model, tmp_path, ".onnx", "--size", "10x12", "--steps", "3")
    source = np.random.default_rng(0).uniform(-1, 1, (2, 3, 3, 10, 12)).astype(np.float32)
    with torch.no_grad():
        wanted = model(torch.from_numpy(source)).numpy()
    assert np.abs(exported.run("translate", source=source)["target"] - wanted).max() <= TOLERANCE


@pytest.mark.slow
def test_the_furniture_of_the_package_is_reconstructed_from_any_number_of_pictures(tmp_path):
    folder = find_bundled_models()["vidvox/furniture-64"]
    model, exported = ImageToVoxels.from_pretrained(folder), Exported(folder, tmp_path, ".onnx")
    for names in (["chair"], ["chair", "chair-left", "chair-back"]):
        files = [ROOT / "voxgan" / "assets" / f"{name}.png" for name in names]
        framed = np.stack([frame_object(cut_out_object(file), 64) for file in files])
        pictures = framed.transpose(0, 3, 1, 2)[None] / np.float32(255)
        posterior = exported.run("encode", pictures=pictures)
        found = exported.run("decode", latent=posterior["mean"])["probabilities"]
        assert np.abs(found - model.reconstruct(files).numpy()).max() <= TOLERANCE
        assert np.abs(posterior["cameras"] - model.encode(files).cameras.numpy()).max() <= TOLERANCE
    noise = latents(2, 128)
    drawn = exported.run("draw", noise=noise.numpy(), choice=np.array([0, 8]))["latent"]
    mean, factor = model.generator.prior.gaussians()
    assert np.abs(drawn[1] - (mean[8] + factor[8] @ noise[1]).numpy()).max() <= TOLERANCE


@pytest.mark.parametrize(
    "suffix", [pytest.param(".onnx", marks=pytest.mark.slow), pytest.param(".pt2", marks=pytest.mark.long)]
)
def test_objects_of_a_class_and_of_a_mixture_are_generated(tmp_path, suffix):
    torch.manual_seed(0)
    config = VoxelGeneratorConfig(latent_dim=5, base_channels=2, latent_prior="mixture", mixture_components=3)
    model = VoxelGenerator(config, VoxelShape(side=16, classes=("chair", "table"))).eval()
    exported = Exported(model, tmp_path, suffix)
    noise, label = latents(4, 5), torch.tensor([0, 1, 2, 1])
    drawn = exported.run("draw", noise=noise.numpy(), choice=np.array([2, 0, 1, 1]))["latent"]
    assert np.abs(drawn - (model.means[[2, 0, 1, 1]] + 0.5 * noise).detach().numpy()).max() <= TOLERANCE
    found = exported.run("decode", latent=drawn, label=label.numpy())["probabilities"]
    with torch.no_grad():
        wanted = model(torch.from_numpy(drawn), label).sigmoid().numpy()
    assert np.abs(wanted[0] - wanted[1]).max() > 10 * TOLERANCE
    assert np.abs(found - wanted).max() <= TOLERANCE


@pytest.fixture
def models(tmp_path):
    """Models of every class, where commands run."""
    torch.manual_seed(0)
    predictor("modern").save_pretrained(tmp_path / "predictor")
    predictor("sprites").save_pretrained(tmp_path / "sprites")
    shape = VoxelShape(side=8)
    generator = VoxelGeneratorConfig(latent_dim=3, base_channels=1)
    encoder = VoxelEncoderConfig(size=32, base_channels=2)
    ImageToVoxels(encoder, generator, shape).save_pretrained(tmp_path / "pictures")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["predictor", "-o", "it.pth"], "cannot write it.pth: its suffix must be one of .onnx, .pt2"),
        (["predictor", "-o", "it.onnx", "--size", "64"], "size should be HEIGHTxWIDTH, not 64"),
        (["predictor", "-o", "it.onnx", "--steps", "3"], "steps: only models of whole clips"),
        (["pictures", "-o", "it.onnx", "--steps", "3"], "steps: only models of whole clips"),
        (["pictures", "-o", "it.onnx", "--size", "64x64"], "size: only predictors and translators can"),
        (["sprites", "-o", "it.onnx", "--steps", "0"], "steps must be at least 1, got 0"),
        (["sprites", "-o", "it.onnx"], "ONNX lacks eigenvectors and Fourier transforms, which sprite predictors need"),
        (["nothing", "-o", "it.onnx"], "nothing is neither a folder with a model"),
        (["predictor", "-o", "old.onnx"], "old-step.onnx exists already"),
        (["sprites", "-o", "json.pt2"], "json.json exists already"),
    ],
)
def test_a_mistake_is_answered_in_one_line_before_anything_is_written(models, run_vidvox, words, complaint):
    for name in ("old-step.onnx", "old.onnx", "json.json"):
        (models / name).write_text("mine")
    before = sorted(path.name for path in models.rglob("*"))
    said = run_vidvox("export", *words)
    assert (said.code, said.out) == (2, "")
    (line,) = said.err.splitlines()
    assert complaint in line
    assert sorted(path.name for path in models.rglob("*")) == before


@pytest.mark.usefixtures("models")
def test_without_the_packages_the_command_says_what_to_install(run_vidvox, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)  # as if it were not installed
    said = run_vidvox("export", "predictor", "-o", "it.onnx")
    assert said.code == 2
    assert "ONNX needs onnxscript: pip install 'vidvox[export]', or write .pt2 without" in said.err
