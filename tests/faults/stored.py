"""Small models, checkpoints, data sets, caches and catalogues as files, from which fuzzing starts."""

import io
import tarfile
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
from faults import seeds

from gancore import checkpoint
from gancore.parsing import from_dict
from vidgan.build import build_generator as build_video_generator
from vidgan.config import VideoConfig
from vidgan.data.cache import open_cached, probe_videos
from vidgan.files.video import open_video
from voxgan.build import build_generator as build_voxel_generator
from voxgan.config import VoxelConfig, VoxelShape
from voxgan.data.packed import PackedObject, encode_webp, write_packed_dataset
from voxgan.data.prepared import Recipe
from voxgan.data.shape_cache import obtain_shape
from voxgan.data.sources import Source
from voxgan.data.sweethome3d import CATALOGUE_FILE


@cache
def models() -> dict[str, dict[str, bytes]]:
    """config.json and model.safetensors of a tiny model of each half."""
    video = {
        "data": {"channels": 1, "height": 16, "width": 16, "clip_frames": 4, "context_frames": 2},
        "generator": {"base_channels": 2, "channel_multipliers": [1, 1], "latent_dim": 2},
        "discriminator": {"spatial_frames": 1},
    }
    voxels = {
        "encoder": {"size": 16, "base_channels": 2, "max_channels": 4},
        "generator": {"latent_dim": 4, "base_channels": 2, "max_channels": 4},
    }
    return {
        "video": _save_model(build_video_generator(from_dict(VideoConfig, video))),
        "voxels": _save_model(build_voxel_generator(from_dict(VoxelConfig, voxels), VoxelShape(side=8))),
    }


def _save_model(model) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


@cache
def packed(*, fractional: bool = False) -> dict[str, bytes]:
    """A data set of three objects."""
    random = np.random.default_rng(0)
    objects = [PackedObject(id=f"a/{n}", label="ab"[n % 2], cameras=((10.0 * n, 20.0), None)) for n in range(3)]
    view = encode_webp(random.integers(0, 255, (8, 8, 4), dtype=np.uint8))
    with tempfile.TemporaryDirectory() as folder:
        grids = [random.integers(256, size=(8, 8, 8), dtype=np.uint8) for _ in objects]
        contents = ((grid if fractional else grid > 127, (view, view)) for grid in grids)
        write_packed_dataset(Path(folder), objects, contents=contents, side=8, fractional=fractional)
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


@cache
def saved_checkpoint() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        path = checkpoint.save(Path(folder), 1, seeds.small_state(), keep_checkpoints=1)
        return {f"{path.name}/{file.name}": file.read_bytes() for file in path.iterdir()}


SHAPE_KEY = "0" * 32
"""The key under which the shape of `shape` is cached."""


@cache
def shape() -> bytes:
    """A prepared object as it lies in the cache."""
    with tempfile.TemporaryDirectory() as folder:
        mesh, cached = Path(folder, "box.obj"), Path(folder, "shape.zip")
        mesh.write_bytes(seeds.meshes("obj")[-2])
        recipe = Recipe(side=8, views=1, view_size=8, up=None, front=None, occupancy="binary", quality=None, seed=0)
        obtain_shape(Source(id="box", mesh=mesh), recipe, cached, SHAPE_KEY)
        return cached.read_bytes()


@cache
def cached_video() -> dict[str, bytes]:
    """A video, its decoded copy, and what probing it found."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "clip.mp4")
        path.write_bytes(seeds.videos("mp4")[0])
        open_cached(open_video(path), str(path), folder=folder, prepare=lambda x: x, prepare_key="")
        probe_videos([str(path)], folder)
        kept = {file.name: file.read_bytes() for file in Path(folder).iterdir()}
    name = next(name for name in kept if name.endswith(".npy"))
    return {"clip.mp4": kept["clip.mp4"], "probes.json": kept["probes.json"], "target.npy": kept[name]}


def catalogue() -> bytes:
    return (
        b"id#1=a\nname#1=Chair\nmodel#1=/scopia/chair.obj\nwidth#1=40\ndepth#1=40.5\nheight#1=90\ncreator#1=X\n"
        b"modelRotation#1=1 0 0 0 1 0 0 0 1\nname#2=Lamp\nmodel#2=/scopia/lamp.obj\nwidth#2=1\ndepth#2=2\nheight#2=3\n"
        b"category#2=Lights\n"
    )


@cache
def debian() -> list[bytes]:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        for name in ("usr/share/a.sh3f", "../../outside.sh3f"):
            entry = tarfile.TarInfo(name)
            content = seeds.in_zip(CATALOGUE_FILE)(catalogue())
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    content = data.getvalue()
    header = b"%-16s%-12d%-6d%-6d%-8d%-10d`\n"
    parts = header % (b"data.tar.gz", 0, 0, 0, 644, len(content)) + content
    return [b"!<arch>\n" + header % (b"debian-binary", 0, 0, 0, 644, 4) + b"2.0\n" + parts]
