"""Three lines of Python: a model is loaded, asked, and what it returns is saved or shown."""

from base64 import b64decode
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
import trimesh
from PIL import Image
from support.tiny import predictor, synthesiser
from support.toys import boxes, generator, image_to_voxels, picture

import vidvox
from vidgan.commands import PredictConfig
from vidgan.files.video import read_clip, write_clip
from vidgan.predict import predict
from vidvox.models import ClipGenerator, ObjectGenerator, ObjectReconstructor, VideoPredictor

SIZE = 16


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A run folder of every kind of model, and a clip and a picture."""
    folder = tmp_path_factory.mktemp("models")
    predictor("modern").save_pretrained(folder / "predictor" / "generator")
    synthesiser("modern", classes=("left", "right")).save_pretrained(folder / "synthesiser" / "generator")
    image_to_voxels().save_pretrained(folder / "reconstructor" / "best")
    generator(("lamp", "stool")).save_pretrained(folder / "objects" / "generator")
    frames = torch.randint(256, (9, 3, SIZE, SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    write_clip(folder / "clip.mp4", frames, rate=25)
    Image.fromarray(picture(boxes(1), from_side=False)).save(folder / "box.png")
    return folder


def played(html: str, path: Path) -> int:
    """The number of frames of the film inside an HTML figure."""
    assert html.startswith("<figure><video ")
    assert "<figcaption>" in html
    path.write_bytes(b64decode(html.partition("base64,")[2].partition('"')[0]))
    with av.open(str(path)) as film:
        return sum(1 for _ in film.decode(video=0))


def test_load_returns_what_was_trained(folder):
    kinds = {
        "predictor": VideoPredictor,
        "synthesiser": ClipGenerator,
        "reconstructor": ObjectReconstructor,
        "objects": ObjectGenerator,
    }
    for name, kind in kinds.items():
        assert type(vidvox.load(folder / name)) is kind
    assert type(vidvox.load(str(folder / "objects" / "generator"), device="cpu")) is ObjectGenerator
    with pytest.raises(ValueError, match="none is neither a folder with a model nor a Hub repository"):
        vidvox.load(folder / "none")


def test_a_prediction_is_the_same_as_that_of_the_command_line(folder):
    config = PredictConfig(clip=folder / "clip.mp4", model=str(folder / "predictor"), steps=4, samples=2, seed=3)
    theirs = predict(config)
    future = vidvox.load(folder / "predictor").predict(folder / "clip.mp4", steps=4, samples=2, seed=3)
    assert future.frames.dtype == torch.uint8
    assert future.frames.shape == (2, 4, 1, SIZE, SIZE)
    assert torch.equal(future.frames, theirs.futures)
    assert torch.equal(future.past, theirs.past)
    assert future.rate == theirs.rate == 25


def test_frames_can_be_had_one_by_one(folder):
    model = vidvox.load(folder / "predictor")
    options = {"steps": 3, "samples": 2, "seed": 3, "stride": 2}
    together = model.predict(folder / "clip.mp4", **options).frames
    apart = torch.stack(list(model.stream(folder / "clip.mp4", **options)), 1)
    assert (apart.int() - together.int()).abs().max() <= 1
    assert len(list(model.stream(folder / "clip.mp4"))) == model.predict(folder / "clip.mp4").frames.shape[1]


def test_a_clip_is_a_path_or_an_array_or_a_tensor(folder):
    model = vidvox.load(folder / "predictor")
    frames = read_clip(folder / "clip.mp4").frames
    wanted = model.predict(folder / "clip.mp4").frames
    array = frames.permute(0, 2, 3, 1).numpy()
    for clip in (str(folder / "clip.mp4"), array, array / 255, frames, frames.float() / 255):
        assert torch.equal(model.predict(clip).frames, wanted)
    assert model.predict(frames).rate == Fraction(10)
    assert torch.equal(model.predict(frames, stride=2).past, model.predict(frames[[6, 8]]).past)
    assert model.predict(frames, size="24x32").frames.shape[-2:] == (24, 32)


@pytest.mark.parametrize(
    ("clip", "complaint"),
    [
        (
            np.zeros((9, SIZE, SIZE), np.uint8),
            r"four axes \(time, height, width, channel\), not the shape \(9, 16, 16\)",
        ),
        (torch.zeros(3, SIZE, SIZE), r"four axes \(time, channel, height, width\), not the shape \(3, 16, 16\)"),
        (np.zeros((1, SIZE, SIZE, 3), np.uint8), "the clip has 1 frames, too few for 2 past frames at stride 1"),
        (np.full((9, SIZE, SIZE, 3), -1.0), r"the clip holds floats from -1 to -1, outside \[0, 1\]"),
        (np.zeros((9, SIZE, SIZE, 5), np.uint8), "5 channels, which cannot become 1"),
        (np.ones((9, SIZE, SIZE, 3), np.int64), "the clip holds values of type int64; expected uint8"),
        (torch.ones(9, 3, SIZE, SIZE, dtype=torch.int16), "the clip holds values of type int16; expected uint8"),
        (np.zeros((9, 0, SIZE, 3)), r"the clip is empty: its shape is \(9, 0, 16, 3\)"),
    ],
)
def test_a_clip_that_cannot_be_used_is_refused_in_words(folder, clip, complaint):
    with pytest.raises(ValueError, match=complaint):
        vidvox.load(folder / "predictor").predict(clip)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"samples": 0}, "samples must be at least 1, got 0"),
        ({"context_frames": 0}, "context_frames must be at least 1, got 0"),
        ({"context_frames": -1}, "context_frames must be at least 1, got -1"),
        ({"stride": 0}, "stride must be at least 1, got 0"),
        ({"size": "0x16"}, "size should be HEIGHTxWIDTH or trained, not 0x16"),
    ],
)
def test_what_is_no_prediction_is_refused_as_on_the_command_line(folder, settings, complaint):
    model, clip = vidvox.load(folder / "predictor"), np.zeros((9, SIZE, SIZE, 3), np.uint8)
    with pytest.raises(ValueError, match=complaint):
        model.predict(clip, **settings)
    with pytest.raises(ValueError, match=complaint):
        list(model.stream(folder / "clip.mp4", **settings))


def test_a_tensor_of_any_floats_is_a_clip(folder):
    model, clip = vidvox.load(folder / "predictor"), torch.linspace(0, 1, 9 * 3 * SIZE**2).reshape(9, 3, SIZE, SIZE)
    wanted = model.predict(clip.bfloat16().float()).past
    assert torch.equal(model.predict(clip.bfloat16().requires_grad_()).past, wanted)


def test_a_future_is_saved_by_its_suffix_with_labels_or_without(folder, tmp_path):
    future = vidvox.load(folder / "predictor").predict(folder / "clip.mp4", steps=3, samples=2)
    assert future.save(tmp_path / "new" / "future.MP4") == tmp_path / "new" / "future.MP4"
    labelled = read_clip(tmp_path / "new" / "future.MP4").frames
    assert len(labelled) == 2 + 3
    assert labelled.shape[2] > SIZE
    future.save(tmp_path / "plain.gif", labels=False)
    assert read_clip(tmp_path / "plain.gif").frames.shape == (3, 3, SIZE, SIZE + 2 + SIZE)
    future.save(tmp_path / "future.npy")
    assert np.array_equal(np.load(tmp_path / "future.npy"), future.frames.numpy())
    with Image.open(future.save(tmp_path / "future.png")) as sheet:
        assert sheet.width > 5 * SIZE
    with pytest.raises(ValueError, match=r"\.wmv"):
        future.save(tmp_path / "future.wmv")


def test_clips_are_generated_and_saved_with_their_classes(folder, tmp_path):
    model = vidvox.load(folder / "synthesiser")
    clips = model.generate(3, seed=1)
    assert clips.frames.shape == (3, 5, 1, SIZE, SIZE)
    assert clips.labels == ("left", "right", "left")
    assert torch.equal(model.generate(1, seed=1).frames[0], clips.frames[0])
    assert len(read_clip(clips.save(tmp_path / "clips.mp4")).frames) == 5
    assert np.load(clips.save(tmp_path / "clips.npy")).shape == clips.frames.shape
    with pytest.raises(ValueError, match="unknown class 'up'"):
        model.generate(label="up")


def test_a_mesh_is_made_of_pictures_and_saved(folder, tmp_path):
    model = vidvox.load(folder / "reconstructor")
    surface = vidvox.SurfaceConfig(threshold=0.1)
    thing = model.mesh(folder / "box.png", surface=surface)
    assert thing.mesh.is_volume
    assert thing.vertices.shape[1] == thing.faces.shape[1] == 3
    assert thing.occupancy.shape == (8, 8, 8)
    with Image.open(folder / "box.png") as opened:
        pixels = np.array(opened)
    for pictures in ([folder / "box.png"], Image.fromarray(pixels), pixels):
        again = model.mesh(pictures, colours=False, surface=surface)
        assert np.array_equal(again.occupancy, thing.occupancy)
    saved = trimesh.load_mesh(thing.save(tmp_path / "box.stl", size_mm=80))
    assert saved.extents.max() == pytest.approx(80, rel=1e-5)
    assert thing.save(tmp_path / "box.glb").stat().st_size > 500
    with Image.open(thing.save(tmp_path / "box.png")) as sheet:
        assert sheet.size == (4 * 256, 2 * 256)


def test_objects_are_generated_by_either_model(folder):
    for name, label in (("objects", "stool"), ("reconstructor", None)):
        model = vidvox.load(folder / name)
        some = vidvox.SurfaceConfig(threshold=0.1)
        few, more = (model.generate(count, seed=2, label=label, surface=some) for count in (1, 2))
        assert [len(few), len(more)] == [1, 2]
        assert np.array_equal(few[0].occupancy, more[0].occupancy)


def test_results_show_themselves_in_a_notebook_and_in_a_line(folder, tmp_path):
    future = vidvox.load(folder / "predictor").predict(folder / "clip.mp4", steps=3)
    assert repr(future) == "<Future: 1 sample of 3 frames of 16x16, after 2 past frames>"
    assert played(future._repr_html_(), tmp_path / "a.mp4") == 5
    clips = vidvox.load(folder / "synthesiser").generate(2)
    assert repr(clips) == "<Clips: 2 of 5 frames of 16x16>"
    assert played(clips._repr_html_(), tmp_path / "b.mp4") == 5
    (thing,) = vidvox.load(folder / "objects").generate(1, surface=vidvox.SurfaceConfig(threshold=0.1))
    assert repr(thing).startswith("<ObjectMesh: ")
    assert played(thing._repr_html_(), tmp_path / "c.mp4") > 10
