"""Everything that reads videos, pictures, arrays and meshes, each with sound files to start from, for fuzzing."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from faults import seeds
from faults.mutating import altered_json, token_text
from hypothesis.strategies import SearchStrategy

from gancore.errors import UnreadableError
from vidgan.data.layouts import expand_array_files, find_videos
from vidgan.files.image_sequence import open_image_strip
from vidgan.files.video import open_video
from voxgan.files.images import read_image
from voxgan.files.masks import read_mask
from voxgan.files.voxels import read_occupancy
from voxgan.mesh.read import load_mesh


@dataclass(frozen=True)
class Reader:
    """Something that reads one file, perhaps with others beside it."""

    name: str
    area: str
    """Part of the package that it belongs to."""
    target: str
    """Name of the file that is fuzzed."""
    read: Callable[[Path], object]
    """Reads it, given the folder that it lies in."""
    seeds: Callable[[], list[bytes]]
    """Sound files to start from, or what `wrap` makes into one."""
    beside: Callable[[], dict[str, bytes]] = dict
    """Sound files that lie in the same folder, by name."""
    wrap: Callable[[bytes], bytes] = lambda content: content
    structured: Callable[[bytes], SearchStrategy[bytes]] | None = None
    """What hypothesis makes of a seed."""
    names: tuple[str, ...] = field(default=())
    """Further names that an error may call the file by."""


# ------------------------------------------------------------------------------------------------------------- readers


def read_video(path: Path) -> None:
    """The first frames and the last."""
    reader = open_video(path)
    reader.read(0, min(3, reader.frames))
    if reader.frames > 3:
        reader.read(reader.frames - 2, 2)


def read_videos(path: Path) -> None:
    """All videos that a data set finds in a file of arrays."""
    videos, problems = expand_array_files(find_videos(str(path)), 3)
    if problems:
        raise UnreadableError(problems[0])
    for video in videos[:3]:
        if video.reader:
            video.reader.read(0, min(2, video.reader.frames))


def read_strip(path: Path) -> None:
    strip = open_image_strip(str(path))
    strip.read(0, strip.frames)


def read_picture(path: Path) -> None:
    read_image(path)
    read_mask(path)


def _texture_beside() -> dict[str, bytes]:
    return {"model.obj": seeds.OBJ, "model.mtl": seeds.MTL, "texture.png": seeds.pictures("png")[0]}


def opens(function: Callable[[Path], object], name: str) -> Callable[[Path], object]:
    return lambda folder: function(folder / name)


def file_reader(name: str, area: str, suffix: str, function: Callable[[Path], object], start, **more) -> Reader:
    return Reader(name, area, f"fuzzed.{suffix}", opens(function, f"fuzzed.{suffix}"), start, **more)


VIDEO_READERS = [
    *(
        file_reader(f"video {each}", "video", each, read_video, lambda each=each: seeds.videos(each))
        for each in seeds.CODECS
    ),
    *(
        file_reader(f"frame {each}", "video", each, read_video, lambda each=each: seeds.pictures(each))
        for each in ("png", "jpg", "bmp", "tif", "webp")
    ),
    file_reader("strip", "video", "png", read_strip, seeds.strips, wrap=seeds.mend_png),
    file_reader("video npy", "video", "npy", read_videos, lambda: seeds.npy("video")),
    file_reader("video npz", "video", "npz", read_videos, lambda: seeds.npz("video")),
    file_reader("video npy in npz", "video", "npz", read_videos, lambda: seeds.npy("video"), wrap=seeds.in_npz),
    file_reader("video h5", "video", "h5", read_videos, lambda: seeds.hdf5("video")),
    file_reader("video zip", "video", "zip", read_video, lambda: [seeds.in_zip("a/1.png")(seeds.pictures("png")[0])]),
    file_reader(
        "picture in zip", "video", "zip", read_video, lambda: seeds.pictures("png"), wrap=seeds.in_zip("1.png")
    ),
]
OBJECT_READERS = [
    *(
        file_reader(f"picture {each}", "voxdata", each, read_picture, lambda each=each: seeds.pictures(each))
        for each in ("png", "jpg", "bmp", "tif", "webp", "gif")
    ),
    file_reader("mended png", "voxdata", "png", read_picture, lambda: seeds.pictures("png"), wrap=seeds.mend_png),
    file_reader("voxels npy", "voxdata", "npy", read_occupancy, lambda: seeds.npy("voxels")),
    file_reader("voxels npz", "voxdata", "npz", read_occupancy, lambda: seeds.npz("voxels")),
    file_reader("voxels h5", "voxdata", "h5", read_occupancy, lambda: seeds.hdf5("voxels")),
    file_reader("voxels mat", "voxdata", "mat", read_occupancy, seeds.matlab),
    file_reader("voxels binvox", "voxdata", "binvox", read_occupancy, seeds.binvox),
    *(
        file_reader(
            f"mesh {each}",
            "meshes",
            each,
            load_mesh,
            lambda each=each: seeds.meshes(each),
            structured=altered_json if each == "gltf" else token_text if each == "off" else None,
        )
        for each in ("obj", "off", "ply", "stl", "glb", "gltf", "dae", "3mf")
    ),
    file_reader("model in 3mf", "meshes", "3mf", load_mesh, seeds.model_of_3mf, wrap=seeds.in_3mf),
    file_reader(
        "json in glb", "meshes", "glb", load_mesh, seeds.json_of_glb, wrap=seeds.in_glb, structured=altered_json
    ),
    *(
        Reader(f"material {name}", "colours", name, opens(load_mesh, "model.obj"), start, _texture_beside, **more)
        for name, start, more in (
            ("model.obj", lambda: [seeds.OBJ], {"structured": token_text}),
            ("model.mtl", lambda: [seeds.MTL], {"structured": token_text, "names": ("model.obj",)}),
            ("texture.png", lambda: seeds.pictures("png"), {"wrap": seeds.mend_png, "names": ("model.obj",)}),
        )
    ),
]
