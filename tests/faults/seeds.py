"""Small sound files of every format that is read, and some hostile ones, from which fuzzing starts."""

import io
import json
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import av
import h5py
import numpy as np
import scipy.io
import torch
import trimesh
from faults.materials import moving_frames
from PIL import Image

from voxgan.files.binvox import write_binvox
from voxgan.mesh.write import save_mesh

OUTSIDE = "../../../outside"
"""Files beside the folder of the inputs, which no input may reach; the name without its suffix."""


def written(suffix: str, write: Callable[[Path], object]) -> bytes:
    """What a function writes to a file of this suffix."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"seed{suffix}")
        write(path)
        return path.read_bytes()


# ------------------------------------------------------------------------------------------------------------ videos

CODECS = {
    "mp4": (("libx264", "yuv420p"), ("mpeg4", "yuv420p")),
    "mkv": (("ffv1", "yuv420p"), ("libx264", "yuv420p"), ("mjpeg", "yuvj420p")),
    "avi": (("mpeg4", "yuv420p"), ("rawvideo", "bgr24")),
    "webm": (("libvpx-vp9", "yuv420p"), ("libvpx", "yuv420p")),
    "gif": (("gif", "rgb8"),),
}


@cache
def videos(container: str) -> list[bytes]:
    """Six frames of 16x16 pixels by each codec of the container that this build has."""
    return [
        written(f".{container}", lambda path, codec=codec: _encode(path, container, *codec))
        for codec in CODECS[container]
        if codec[0] in av.codecs_available
    ]


def _encode(path: Path, container: str, codec: str, pixels: str) -> None:
    name = {"mkv": "matroska"}.get(container, container)
    with av.open(str(path), "w", format=name) as file:
        stream = file.add_stream(codec, rate=10)
        stream.height, stream.width, stream.pix_fmt = 16, 16, pixels
        for frame in moving_frames(0, frames=6).movedim(1, 3).numpy():
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format=pixels)))
        file.mux(stream.encode())


# ---------------------------------------------------------------------------------------------------------- pictures


@cache
def pictures(suffix: str) -> list[bytes]:
    """An object on a plain ground in each of the modes that the format has."""
    pixels = np.full((24, 20, 3), 255, np.uint8)
    pixels[6:18, 5:15] = (40, 90, 160)
    colour = Image.fromarray(pixels)
    alpha = Image.merge("RGBA", (*colour.split(), Image.fromarray(np.where(pixels[..., 0] < 255, 255, 0).astype("u1"))))
    modes = {
        "png": [
            colour,
            alpha,
            colour.convert("L"),
            colour.convert("P"),
            Image.fromarray(np.arange(576, dtype="u2").reshape(24, 24) * 99),
        ],
        "jpg": [colour, colour.convert("L"), colour.convert("CMYK")],
        "bmp": [colour, colour.convert("P"), colour.convert("1")],
        "tif": [colour, alpha, colour.convert("F"), colour.convert("L")],
        "webp": [colour, alpha],
        "gif": [colour.convert("P")],
    }[suffix]
    options: dict[str, list[dict[str, object]]] = {
        "tif": [{}, {"compression": "tiff_lzw"}, {"compression": "tiff_adobe_deflate"}],
        "gif": [{}, {"save_all": True, "append_images": [colour.convert("L")]}],
        "jpg": [{}, {"exif": _turned()}],
        "png": [{}, {"save_all": True, "append_images": [modes[0]]}],
        "webp": [{}, {"save_all": True, "append_images": [colour]}],
    }
    made = []
    for picture in modes:
        for option in options.get(suffix, [{}]):
            try:
                made.append(written(f".{suffix}", lambda path, p=picture, o=option: p.save(path, **o)))
            except (OSError, ValueError):  # this mode has no such option
                continue
    return made


def _turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x112] = 6
    return exif


@cache
def strips() -> list[bytes]:
    """Three frames side by side."""
    pixels = np.concatenate(list(moving_frames(0, frames=3).movedim(1, 3).numpy()), axis=1)
    return [
        written(".png", lambda path, mode=mode: Image.fromarray(pixels).convert(mode).save(path))
        for mode in ("RGB", "L", "P")
    ]


def mend_png(content: bytes) -> bytes:
    """A PNG with the checksums that its chunks should have, so that what was changed is looked at."""
    mended, place = bytearray(content[:8]), 8
    while place + 12 <= len(content):
        size = min(int.from_bytes(content[place : place + 4], "big"), len(content) - place - 12)
        body = content[place + 4 : place + 8 + size]
        mended += content[place : place + 4] + body + zlib.crc32(body).to_bytes(4, "big")
        place += 12 + size
    return bytes(mended) + content[place:]


# ------------------------------------------------------------------------------------------------------------ arrays


@cache
def npy(kind: str) -> list[bytes]:
    """Videos ("video") or voxels ("voxels") of several types, and a pickle."""
    shapes = {"video": ((6, 8, 8, 3), (6, 8, 8)), "voxels": ((8, 8, 8), (2, 4, 4, 4))}[kind]
    arrays = [np.zeros(shape, dtype) for shape in shapes for dtype in ("u1", "f4", "?", "f2", ">f8")]
    made = [written(".npy", lambda path, each=each: np.save(path, each)) for each in arrays]
    evil = np.array([_Evil()] * 8, object).reshape(2, 2, 2)
    return [*made, written(".npy", lambda path: np.save(path, evil, allow_pickle=True))]


class _Evil:
    """Unpickling this would write a file."""

    def __reduce__(self):
        return eval, (f"open('{OUTSIDE}.written', 'w').close()",)


@cache
def npz(kind: str) -> list[bytes]:
    """The arrays of `npy` in archives, stored and compressed."""
    plain = np.load(io.BytesIO(npy(kind)[0]))
    return [
        written(".npz", lambda path: np.savez(path, video=plain)),
        written(".npz", lambda path: np.savez_compressed(path, voxels=plain, other=plain)),
    ]


def in_npz(content: bytes) -> bytes:
    """An archive that holds these bytes as an array."""
    return in_zip("video.npy")(content)


def in_zip(name: str) -> Callable[[bytes], bytes]:
    """A function to an archive that holds its argument under this name, with the right checksum."""

    def wrap(content: bytes) -> bytes:
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w") as archive:
            archive.writestr(name, content)
        return made.getvalue()

    return wrap


@cache
def hdf5(kind: str) -> list[bytes]:
    """Plain, chunked and compressed arrays, a link and values that lie in another file."""
    plain = np.load(io.BytesIO(npy(kind)[0]))

    def simple(path: Path) -> None:
        with h5py.File(path, "w") as file:
            file["voxels"] = plain

    def chunked(path: Path) -> None:
        with h5py.File(path, "w", libver="latest") as file:
            file.create_dataset("group/voxels", data=plain, chunks=True, compression="gzip", shuffle=True)
            file["link"] = h5py.SoftLink("/group/voxels")

    def elsewhere(path: Path) -> None:
        with h5py.File(path, "w") as file:
            file.create_dataset("voxels", plain.shape, "u1", external=[(f"{OUTSIDE}.raw", 0, plain.size)])
            file["link"] = h5py.ExternalLink(f"{OUTSIDE}.h5", "/voxels")

    return [written(".h5", write) for write in (simple, chunked, elsewhere)]


@cache
def matlab() -> list[bytes]:
    voxels = np.zeros((6, 6, 6), np.uint8)
    return [
        written(".mat", lambda path: scipy.io.savemat(path, {"instance": voxels})),
        written(".mat", lambda path: scipy.io.savemat(path, {"voxel": voxels * 1.0}, do_compression=True)),
        hdf5("voxels")[0],
    ]


@cache
def binvox() -> list[bytes]:
    voxels = np.zeros((8, 8, 8), bool)
    voxels[2:5, 1:7, 3:6] = True
    return [
        written(".binvox", lambda path, version=version: write_binvox(path, voxels, version=version))
        for version in (1, 2)
    ]


# ------------------------------------------------------------------------------------------------------------ meshes


@cache
def meshes(suffix: str) -> list[bytes]:
    """A coloured box in the format, as our own writer and as trimesh write it."""
    box = trimesh.creation.box((1.0, 2.0, 3.0))
    coloured = trimesh.Trimesh(box.vertices, box.faces, vertex_colors=np.arange(32, dtype="u1").reshape(8, 4) * 7)
    if suffix == "gltf":  # with its buffers inside
        embedded = trimesh.exchange.gltf.export_gltf(coloured.scene(), embed_buffers=True)
        return [GLTF, *embedded.values()]
    made = []
    for write in (
        lambda path: save_mesh(coloured, path),
        lambda path: coloured.export(path),
        lambda path: box.export(path),
        lambda path: textured().export(path),
    ):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                made.append(written(f".{suffix}", write))
        except (ValueError, KeyError, AttributeError, TypeError, IndexError):  # a writer that lacks the format
            continue
    if suffix == "off":
        made.append(
            b"COFF\n4 4 0\n0 0 0 255 0 0\n1 0 0 0 255 0\n0 1 0 1 1 1\n0 0 1 9 9 9\n3 0 1 2\n3 0 1 3\n3 1 2 3\n3 0 2 3\n"
        )
    return made


def textured() -> trimesh.Trimesh:
    box = trimesh.creation.box((1.0, 2.0, 3.0))
    image = Image.open(io.BytesIO(pictures("png")[0]))
    box.visual = trimesh.visual.TextureVisuals(uv=box.vertices[:, :2] % 1, image=image)
    return box


GLTF = json.dumps(
    {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "scale": [1, 2, 1]}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1, "material": 0}]}],
        "materials": [{"pbrMetallicRoughness": {"baseColorFactor": [0.5, 0.2, 0.1, 1.0]}}],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 4, "type": "VEC3", "min": [0, 0, 0], "max": [1, 1, 1]},
            {"bufferView": 1, "componentType": 5123, "count": 12, "type": "SCALAR"},
        ],
        "bufferViews": [{"buffer": 0, "byteLength": 48}, {"buffer": 0, "byteOffset": 48, "byteLength": 24}],
        "buffers": [
            {
                "byteLength": 72,
                "uri": "data:application/octet-stream;base64,"
                "AAAAAAAAAAAAAAAAAACAPwAAAAAAAAAAAAAAAAAAgD8AAAAAAAAAAAAAAAAAAIA/AAACAAEAAAABAAMAAAADAAIAAQACAAMA",
            }
        ],
    }
).encode()

OBJ = b"""mtllib model.mtl
o box
v 0 0 0
v 1 0 0 1.0 0.5 0.25
v 0 1 0
v 0 0 1
vt 0 0
vt 1 0
vt 0.5 1
vn 0 0 1
usemtl paint
f 1/1 2/2 3/3
f 1/1/1 4/2/1 2/3/1
f 1//1 3//1 4//1
f -3 -2 -1
"""
MTL = b"""newmtl paint
Ka 0.1 0.1 0.1
Kd 0.6 0.5 0.4
d 1.0
map_Kd -s 1 1 1 texture.png
newmtl other
Kd 1 1 1
map_Kd ../../../outside.png
"""


@cache
def model_of_3mf() -> list[bytes]:
    """The XML inside our own 3MF file."""
    with zipfile.ZipFile(io.BytesIO(meshes("3mf")[0])) as archive:
        return [archive.read(next(name for name in archive.namelist() if name.endswith(".model")))]


def in_3mf(content: bytes) -> bytes:
    """Our own 3MF file with another model inside."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(meshes("3mf")[0])) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            new.writestr(name, content if name.endswith(".model") else old.read(name))
    return made.getvalue()


@cache
def json_of_glb() -> list[bytes]:
    """The JSON inside our own GLB file."""
    glb = meshes("glb")[0]
    return [glb[20 : 20 + int.from_bytes(glb[12:16], "little")].rstrip()]


def in_glb(content: bytes) -> bytes:
    """Our own GLB file with another JSON chunk."""
    glb = meshes("glb")[0]
    rest = glb[20 + int.from_bytes(glb[12:16], "little") :]
    padded = content + b" " * (-len(content) % 4)
    size = (20 + len(padded) + len(rest)).to_bytes(4, "little")
    return b"glTF" + glb[4:8] + size + len(padded).to_bytes(4, "little") + b"JSON" + padded + rest


def small_state() -> dict[str, object]:
    """The state of a checkpoint."""
    return {"number": 1, "weights": torch.arange(8.0), "nested": [{"a": (1.5, None, "b", True)}]}
