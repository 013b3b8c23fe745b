"""What models return is saved where it is wanted, but never over the files that it came from."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image

from vidgan.files.video import read_clip
from vidvox.models import find_source
from vidvox.results import Future, ObjectMesh


@pytest.fixture
def future(tmp_path):
    """A future of the clip clip.npy."""
    np.save(tmp_path / "clip.npy", np.zeros((4, 8, 8, 3), np.uint8))
    frames = torch.full((1, 3, 3, 8, 8), 9, dtype=torch.uint8)
    return Future(frames, torch.zeros(2, 3, 8, 8, dtype=torch.uint8), Fraction(10), tmp_path / "clip.npy")


def test_a_future_is_never_saved_over_its_past(future, tmp_path):
    before = (tmp_path / "clip.npy").read_bytes()
    (tmp_path / "link.npy").symlink_to("clip.npy")
    for name in ("clip.npy", "link.npy"):
        with pytest.raises(ValueError, match=f"{name} is an input too"):
            future.save(tmp_path / name)
    assert (tmp_path / "clip.npy").read_bytes() == before


def test_a_future_of_frames_is_never_saved_among_them(future, tmp_path):
    (tmp_path / "frames").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "frames" / "00000.png")
    of_frames = Future(future.frames, future.past, future.rate, tmp_path / "frames")
    for name in ("frames", "frames/future.png"):
        with pytest.raises(ValueError, match=r"which is an input|is an input too"):
            of_frames.save(tmp_path / name)
    with pytest.raises(ValueError, match="holds other files than frames"):
        future.save(tmp_path / "frames")
    assert [path.name for path in (tmp_path / "frames").iterdir()] == ["00000.png"]


def test_what_was_saved_before_is_replaced_as_python_programs_expect(future, tmp_path):
    for name in ("future.mp4", "future.npy", "future"):
        for _ in range(2):
            assert future.save(tmp_path / name) == tmp_path / name
        assert len(read_clip(tmp_path / name).frames) == (5 if name == "future.mp4" else 3)


def test_a_mesh_is_never_saved_over_its_pictures(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    before = (tmp_path / "a.png").read_bytes()
    box = ObjectMesh(trimesh.creation.box(), np.ones((2, 2, 2)), (tmp_path / "a.png",))
    with pytest.raises(ValueError, match=r"a\.png is an input too"):
        box.save(tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == before
    for _ in range(2):
        assert box.save(tmp_path / "a.glb").stat().st_size


def test_the_source_of_an_input_is_the_file_that_it_lies_in(tmp_path):
    np.save(tmp_path / "clip.npy", np.zeros((4, 8, 8, 3), np.uint8))
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    assert find_source(str(tmp_path / "clip.npy")) == tmp_path / "clip.npy"
    assert find_source(np.load(tmp_path / "clip.npy", mmap_mode="r")) == tmp_path / "clip.npy"
    with Image.open(tmp_path / "a.png") as opened:
        assert find_source(opened) == tmp_path / "a.png"
    assert find_source(np.load(tmp_path / "clip.npy")) is None
    assert find_source(torch.zeros(1, 3, 2, 2)) is None
    assert find_source(Image.new("L", (2, 2))) is None
    assert isinstance(find_source("frames"), Path)
