"""The models that come with the package: whole, small, described, and better than repeating the last frame."""

import re

import numpy as np
import pytest
import torch
import trimesh
from safetensors import safe_open
from support.calling import ROOT

import vidvox
from gancore.data import Sample
from gancore.model_files import find_bundled_models
from gancore.rng import SampleRandom
from vidgan.data.batch import collate
from vidgan.data.dataset import BUNDLED_CLIP, open_dataset
from vidgan.data_config import VideoDataConfig
from vidgan.degradations.kinds import degrade
from vidgan.degradations.simple import METHODS
from vidgan.files.video import read_clip
from vidgan.frames import resize_and_crop, to_float
from vidgan.metrics import psnr
from vidgan.networks.generator import FramePredictor
from vidgan.networks.translator import ClipTranslator
from vidvox.cli import main
from voxgan.data.packed import open_packed_dataset
from voxgan.evaluation.baselines import mean_shapes
from voxgan.files.images import encode_views, frame_object
from voxgan.metrics.occupancy import coarsen, iou, pairwise_iou
from voxgan.networks.image_to_voxels import ImageToVoxels

BUNDLED = find_bundled_models()
MAX_BYTES = 10_000_000


def walk(speed: int, frames: int) -> torch.Tensor:
    """A box with a pattern that walks over a wall with another one."""
    random = torch.Generator().manual_seed(0)
    wall, box = (
        torch.nn.functional.interpolate(torch.rand(1, 3, *size, generator=random), scale_factor=6, mode="bicubic")
        for size in ((12, 16), (4, 2))
    )
    clip = wall.clamp(0, 1).repeat(frames, 1, 1, 1)
    for time in range(frames):
        clip[time, :, 24:48, 10 + speed * time : 22 + speed * time] = 1 - box[0].clamp(0, 1)
    return (255 * clip).byte()


def test_there_are_models():
    repairs = ("restore", "restore-rain", "restore-smoke", "upscale-2", "upscale-4", "fill", "colourise")
    repairers = {f"vidvox/{name}" for name in repairs}
    assert {"vidvox/predict-small", "vidvox/moving-mnist", "vidvox/furniture-64"} | repairers <= set(BUNDLED)


@pytest.mark.parametrize("name", BUNDLED)
def test_a_model_of_the_package_is_whole_small_and_described(name):
    folder = BUNDLED[name]
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    assert sum(path.stat().st_size for path in folder.iterdir()) < MAX_BYTES
    with safe_open(folder / "model.safetensors", "pt") as file:
        assert re.fullmatch("[0-9a-f]{64}", file.metadata()["sha256"])
    vidvox.load(name)  # compares the hash
    card = (folder / "README.md").read_text()
    for word in (
        f"# {name.partition('/')[2]}\n",
        "\nlicense: ",
        "## Training data",
        "## Metrics",
        "of batch",
        "SHA-256",
    ):
        assert word in card, f"the card of {name} lacks {word!r}"
    assert not re.search(r"Not stated|Not evaluated|(?<![\w:/.])/\w+/\w", card)  # nor a folder of one machine
    assert f"vidvox/weights/{name.partition('/')[2]}" in (ROOT / "NOTICE").read_text()


@pytest.mark.parametrize("name", BUNDLED)
def test_a_changed_weight_is_noticed(name, tmp_path):
    for path in BUNDLED[name].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    weights = bytearray((tmp_path / "model.safetensors").read_bytes())
    weights[-5] ^= 1
    (tmp_path / "model.safetensors").write_bytes(weights)
    with pytest.raises(ValueError, match="do not belong together, or one of them is damaged"):
        vidvox.load(tmp_path)


def test_predict_needs_no_model_of_ones_own(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.save("clip.npy", walk(2, 6).permute(0, 2, 3, 1).numpy())
    main(["predict", "clip.npy", "-o", "future.npy", "--steps", "2", "--samples", "2", "--cpu"])
    assert capsys.readouterr().out == "2 frames, 2 futures: future.npy\n"
    assert np.load("future.npy").shape == (2, 2, 3, 72, 96)
    named = ["-m", "vidvox/predict-small"]
    main(["predict", "clip.npy", "-o", "same.npy", "--steps", "2", "--samples", "2", "--cpu", *named])
    assert np.array_equal(np.load("same.npy"), np.load("future.npy"))


@pytest.mark.parametrize("speed", [1, 2])
def test_predict_small_continues_a_walk_and_leaves_the_wall_alone(speed):
    model, clip = FramePredictor.from_pretrained("vidvox/predict-small"), walk(speed, 9)
    past, true = clip[:5], clip[5:].float()
    typical, sample = (model.predict(past, 4, truncation=bound)[0].float() for bound in (0.0, None))
    near = (slice(None), slice(None), slice(18, 54), slice(0, 60))
    ours, still = ((each - true)[near].square().mean((1, 2, 3)) for each in (typical, past[-1:].float()))
    assert ours.mean() < 0.8 * still.mean()
    assert (typical - true)[..., 70:].abs().mean() < 2
    assert (sample - true)[..., 70:].abs().mean() < 2


def test_predict_small_keeps_a_still_film_still_and_takes_any_size():
    model = FramePredictor.from_pretrained("vidvox/predict-small")
    for height, width in ((48, 48), (61, 130)):
        past = walk(0, 5)[:, :, :height].repeat(1, 1, 1, 2)[..., :width]
        future = model.predict(past, 3, samples=2)
        assert future.shape == (2, 3, 3, *past.shape[-2:])
        predicted, true = (to_float(each)[None] for each in (future[0], past[-1:].expand(3, -1, -1, -1)))
        assert psnr(predicted, true).min() > 38


def test_predict_small_follows_a_camera_that_pans():
    random = torch.Generator().manual_seed(1)
    wall = torch.nn.functional.interpolate(torch.rand(1, 3, 10, 16, generator=random), scale_factor=8, mode="bicubic")
    film = torch.stack([(255 * wall.clamp(0, 1)).byte()[0, :, 8:72, 2 * time : 2 * time + 96] for time in range(9)])
    model = FramePredictor.from_pretrained("vidvox/predict-small")
    typical, true = model.predict(film[:5], 4, truncation=0.0)[0].float(), film[5:].float()
    inside = (..., slice(0, 88))  # beyond, the camera shows what was never seen
    ours, still = ((each - true)[inside].square().mean() for each in (typical, film[4:5].float()))
    assert ours < 0.1 * still


def test_moving_mnist_continues_digits_that_it_has_not_seen():
    data = VideoDataConfig(path="moving-mnist", channels=1, context_frames=10, clip_frames=20)
    held_out = open_dataset(data, split="test")
    clips = collate([held_out[Sample(number, 0)] for number in range(6)], 10).to(torch.device("cpu"))
    model = FramePredictor.from_pretrained("vidvox/moving-mnist")
    with torch.no_grad():
        made = model(clips.past, SampleRandom(0).normal(6, model.config.latent_dim), steps=10)
    ours, still, black = (
        (each - clips.future).square().mean() for each in (made, clips.past[:, -1:], torch.full((1,), -1.0))
    )
    assert ours < 0.45 * still
    assert ours < 0.75 * black


@pytest.mark.parametrize(
    ("name", "kind", "better"),
    [
        ("restore", "noise", 4.0),
        ("restore", "jpeg", 0.5),
        ("restore", "h264", 0.2),
        ("restore", "rain", 4.0),
        ("upscale-2", "shrink-2", 0.5),
        ("upscale-4", "shrink-4", 0.5),
        ("restore-rain", "rain", 8.0),
        ("restore-smoke", "smoke", 1.0),
        ("fill", "holes", 0.0),
        ("colourise", "grey", 0.5),
    ],
)
def test_a_spoilt_film_is_nearer_to_the_truth_once_it_is_repaired(name, kind, better):
    film = resize_and_crop(read_clip(BUNDLED_CLIP, start=200, frames=9).frames, 80, 96)
    spoilt = degrade(film, kind, severity=3, seed=0)
    model = ClipTranslator.from_pretrained(f"vidvox/{name}")
    made = model.translate(spoilt.frames, spoilt.known if model.shape.masked else None)
    simple = METHODS["linear-space" if name == "fill" else "copy"](spoilt.frames, spoilt.known, model.shape.scale)
    ours, others = (psnr(to_float(each)[None], to_float(film)[None]).mean() for each in (made, simple))
    assert ours > others + better


def test_missing_frames_of_a_film_are_nearer_to_the_truth_than_the_mean_of_their_neighbours():
    film = resize_and_crop(read_clip(BUNDLED_CLIP, start=200, frames=9).frames, 80, 96)
    known = torch.ones(9, 1, 80, 96, dtype=torch.bool)
    known[[3, 4]] = False
    spoilt = torch.where(known, film, 0)
    made = ClipTranslator.from_pretrained("vidvox/fill").translate(spoilt, known)
    ours, linear = (
        psnr(to_float(each[[3, 4]])[None], to_float(film[[3, 4]])[None]).mean()
        for each in (made, METHODS["linear"](spoilt, known, 1))
    )
    assert ours > linear + 2


# ------------------------------------------------------------------------------------------------------------ shapes

CHAIR = ROOT / "voxgan" / "assets" / "chair.png"


@pytest.fixture(scope="module")
def furniture() -> ImageToVoxels:
    return ImageToVoxels.from_pretrained("vidvox/furniture-64")


def test_a_picture_becomes_a_mesh_without_a_model_of_ones_own(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    main(["mesh", str(CHAIR), "-o", "chair.ply", "--cpu"])
    assert capsys.readouterr().out.startswith("chair.ply: ")
    mesh = trimesh.load("chair.ply")
    assert mesh.is_volume
    assert mesh.body_count == 1
    assert mesh.extents[1] > 1.2 * max(mesh.extents[::2])  # upright
    red, _, blue, _ = np.asarray(mesh.visual.vertex_colors).astype(int).T
    assert np.median(red - blue) > 30  # it is of brown wood and red cloth


def test_held_out_chairs_are_more_like_their_pictures_than_the_mean_chair(furniture):
    packed = open_packed_dataset("furniture")
    chairs = [index for index in packed.indices("test") if packed.objects[index].label == "chair"]
    train = packed.indices("train")
    mean = mean_shapes(packed, train)["chair"]
    ours, theirs = [], []
    for index in chairs:
        framed = [frame_object(packed.read_view(index, view), furniture.encoder.config.size) for view in (0, 1)]
        views = encode_views(framed, mask=furniture.encoder.config.mask)
        with torch.no_grad():
            made = coarsen(furniture(views[None]).sigmoid(), packed.side) > 0.4
        truth = torch.from_numpy(packed.occupancy(index))[None]
        ours.append(iou(made, truth).item())
        theirs.append(iou(mean[None], truth).item())
    assert np.mean(ours) > 1.3 * np.mean(theirs)


@pytest.mark.parametrize("label", ["chair", "table", "sofa", "cabinet"])
def test_objects_from_noise_are_there_and_differ(furniture, label):
    made = torch.cat([coarsen(furniture.generator.sample(1, seed=seed, label=label), 32) > 0.4 for seed in range(6)])
    assert made.flatten(1).any(1).all()
    overlaps = pairwise_iou(made, made)
    assert (overlaps - torch.eye(6)).max() < 0.95


def test_objects_from_noise_need_no_model_of_ones_own(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    main(["generate", "--class", "table", "-n", "2", "-o", "table.stl", "--cpu"])
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert all(trimesh.load(f"table-{number}.stl").is_volume for number in (1, 2))
