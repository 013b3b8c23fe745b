"""Everything that reads settings, models, states, data sets, logs and lists, with files to start from, for fuzzing."""

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from faults import seeds
from faults.mutating import altered_json, altered_lines, token_text
from faults.readers import Reader, opens
from faults.stored import SHAPE_KEY, cached_video, catalogue, debian, models, packed, saved_checkpoint, shape

from gancore import checkpoint
from gancore.config import TrainConfig
from gancore.parsing import parse_config, to_dict
from gancore.reporting.preference import read_ratings
from gancore.splits import read_name_list
from gancore.training.history import iter_json_lines
from gancore.training.run_log import RunLog
from vidgan.config import VideoConfig
from vidgan.data.cache import open_cached, probe_videos
from vidgan.data.layouts import find_videos
from vidgan.files.video import open_video
from vidgan.networks.generator import FramePredictor
from voxgan.config import VoxelConfig
from voxgan.data.layouts import find_objects
from voxgan.data.packed import PackedDataset
from voxgan.data.shape_cache import load_shape
from voxgan.data.sweethome3d import CATALOGUE_FILE, unpack_package
from voxgan.networks.image_to_voxels import ImageToVoxels


def read_packed(folder: Path) -> None:
    dataset = PackedDataset(folder)
    for index in range(min(len(dataset), 3)):
        dataset.occupancy(index)
        for number in range(len(dataset.objects[index].cameras)):
            dataset.read_view(index, number)
    dataset.indices("train")


def read_checkpoint(folder: Path) -> None:
    """As a training does, which passes over damaged ones, and one that is named."""
    if found := checkpoint.find_latest(folder):
        checkpoint.load(found)
    checkpoint.load(folder / "checkpoint-00000001")


def read_stats(folder: Path) -> None:
    list(iter_json_lines(folder / "stats.jsonl"))
    RunLog(folder, TrainConfig(curves=False), step=10).close()


def read_cache(folder: Path) -> None:
    """A video through its decoded copy, which something else has taken the place of."""
    video, cache_folder = open_video(folder / "clip.mp4"), folder / "cache"
    for number in range(2):
        cached = open_cached(
            video, str(folder / "clip.mp4"), folder=cache_folder, prepare=lambda frames: frames, prepare_key=""
        )
        if number == 0:
            (path,) = cache_folder.glob("*.npy")
            path.unlink()
            shutil.copyfile(folder / "target.npy", path)
    cached.read(0, 2)


def read_debian_package(path: Path) -> None:
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        unpack_package(path, Path(folder))


STATS = (
    b"\n".join(
        json.dumps({"step": step, "generator/a": 0.5 / step, "held_out/mse": 1.0, "speed": 3.0}).encode()
        for step in range(1, 5)
    )
    + b'\n{"step": 4, "alarm/mode_collapse": 1}\n'
)
ALARMS = b'{"step": 4, "alarm": "mode_collapse", "evidence": "x", "advice": "y"}\n'
KEY = json.dumps(
    {"page": "ab12", "question": "?", "pairs": [{"name": "p", "left": "a", "right": "b"} for _ in range(3)]}
).encode()
ANSWERS = json.dumps({"page": "ab12", "rater": "r", "answers": {"0": "left", "1": "tie", "2": "right"}}).encode()
PIX3D = json.dumps(
    [
        {
            "img": "img/chair/1.png",
            "category": "chair",
            "model": "model/chair/a/model.obj",
            "voxel": "model/chair/a/voxel.mat",
            "mask": "mask/chair/1.png",
            "bbox": [1, 2, 10, 20],
            "cam_position": [0.1, 0.2, -1.0],
            "truncated": False,
            "occluded": False,
        }
    ]
).encode()
YAML = b"""run: runs/a
data:
  path: moving-mnist
  height: 64
  crop: centre
generator: {base_channels: 4, channel_multipliers: [2, 1]}
train: &t
  steps: 20
  generator_lr: 1.0e-4
  trackers: []
"""
HOSTILE_YAML = (
    b"run: !!python/object/apply:os.system ['touch ../../../outside.written']\n",
    b"a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: &d [*c, *c]\ndata: {path: *d}\n",
    b"\n".join(b"key%d: %d" % (number, number) for number in range(300)),
)
SECTIONS = ("data", "encoder", "generator", "discriminator", "objective", "train")
"""How the keys of settings begin; a value outside its limits is called by its key, which a flag may have given."""
SPLITS = b'{"train": ["box0", "box1"], "val": [], "test": ["box2.obj"]}'
SHAPENET = "02691156/abc/models/model_normalized.obj"


def _parse(kind: type, name: str) -> Callable[[Path], object]:
    return lambda folder: parse_config(kind, ["--config", str(folder / name)])


def _settings(kind: type) -> Callable[[], list[bytes]]:
    required = {"run": "runs/a"}
    return lambda: [json.dumps(to_dict(kind()) | required).encode()]


def _records(name: str, area: str, target: str, read, start: bytes, structured=altered_json, **more) -> Reader:
    return Reader(name, area, target, read, lambda: [start], structured=structured, **more)


def _without(files: dict[str, bytes], name: str) -> Callable[[], dict[str, bytes]]:
    return lambda: {other: content for other, content in files.items() if other != name}


def _mesh_files(*names: str) -> Callable[[], dict[str, bytes]]:
    return lambda: dict.fromkeys(names, seeds.OBJ)


def _list_reader(name: str, target: str, start: bytes, beside: Callable[[], dict[str, bytes]], area: str) -> Reader:
    find = (lambda folder: find_videos(str(folder))) if area == "video" else find_objects
    return Reader(f"list {name}", area, target, find, lambda: [start], beside, structured=token_text)


def _model_readers() -> list[Reader]:
    made = []
    for half, kind in (("video", FramePredictor), ("voxels", ImageToVoxels)):
        for target, structured in (("config.json", altered_json), ("model.safetensors", None)):
            made.append(
                Reader(
                    f"model {half} {target}",
                    "settings",
                    target,
                    kind.from_pretrained,
                    lambda half=half, target=target: [models()[half][target]],
                    lambda half=half, target=target: _without(models()[half], target)(),
                    structured=structured,
                )
            )
    return made


RECORD_READERS = [
    *(
        Reader(
            f"settings {kind.__name__} {suffix}",
            "settings",
            f"settings.{suffix}",
            _parse(kind, f"settings.{suffix}"),
            (lambda: [YAML, *HOSTILE_YAML]) if suffix == "yaml" else _settings(kind),
            structured=token_text if suffix == "yaml" else altered_json,
            names=SECTIONS,
        )
        for kind in (VideoConfig, VoxelConfig)
        for suffix in ("yaml", "json")
    ),
    *_model_readers(),
    *(
        Reader(
            f"checkpoint {name}",
            "runs",
            f"checkpoint-00000001/{name}",
            read_checkpoint,
            lambda name=name: [saved_checkpoint()[f"checkpoint-00000001/{name}"]],
            lambda name=name: _without(saved_checkpoint(), f"checkpoint-00000001/{name}")(),
            structured=altered_json if name == "manifest.json" else None,
        )
        for name in ("manifest.json", "state.pt")
    ),
    *(
        Reader(
            f"data set {name}",
            "voxdata",
            name,
            read_packed,
            lambda name=name, fractional=fractional: [packed(fractional=fractional)[name]],
            lambda name=name, fractional=fractional: _without(packed(fractional=fractional), name)(),
            structured=altered_json if name == "dataset.json" else None,
        )
        for name, fractional in {
            "dataset.json": False,
            "occupancy.npy": False,
            "views.zip": False,
            "occupancy.zlib": True,
        }.items()
    ),
    _records(
        "stats.jsonl", "runs", "stats.jsonl", read_stats, STATS, altered_lines, beside=lambda: {"alarms.jsonl": ALARMS}
    ),
    _records(
        "alarms.jsonl", "runs", "alarms.jsonl", read_stats, ALARMS, altered_lines, beside=lambda: {"stats.jsonl": STATS}
    ),
    Reader(
        "probes.json",
        "video",
        "probes.json",
        lambda folder: probe_videos([str(folder / "clip.mp4")], folder),
        lambda: [cached_video()["probes.json"]],
        lambda: {"clip.mp4": cached_video()["clip.mp4"]},
        structured=altered_json,
    ),
    Reader(
        "cached shape",
        "voxdata",
        "shape.zip",
        lambda folder: load_shape(folder / "shape.zip", SHAPE_KEY),
        lambda: [shape()],
    ),
    _records(
        "ratings answers",
        "settings",
        "answers.json",
        lambda folder: read_ratings([folder / "answers.json"], key=folder / "key.json"),
        ANSWERS,
        beside=lambda: {"key.json": KEY},
    ),
    _records(
        "ratings key",
        "settings",
        "key.json",
        lambda folder: read_ratings([folder / "answers.json"], key=folder / "key.json"),
        KEY,
        beside=lambda: {"answers.json": ANSWERS},
        names=("answers.json",),
    ),
    Reader(
        "name list",
        "video",
        "list.txt",
        opens(read_name_list, "list.txt"),
        lambda: [b"a.mp4 1\nb/c.mp4 2\n"],
        structured=token_text,
    ),
    _list_reader("of a folder", "test.txt", b"a.mp4\nb.mp4 2\n", lambda: {"a.mp4": b"", "b.mp4": b""}, "video"),
    _list_reader(
        "of UCF-101",
        "testlist01.txt",
        b"Archery/v_Archery_g01_c01.avi\n",
        lambda: {
            "v_Archery_g01_c01.avi": b"",
            "v_Archery_g02_c01.avi": b"",
            "trainlist01.txt": b"v_Archery_g02_c01.avi 1\n",
        },
        "video",
    ),
    _list_reader(
        "of Kinetics",
        "list.csv",
        b"label,youtube_id,time_start,time_end,split\nrun,abcdefghijk,1,11,train\n",
        lambda: {"abcdefghijk_000001_000011.mp4": b""},
        "video",
    ),
    _list_reader(
        "of KTH",
        "00sequences.txt",
        b"person01_boxing_d1\tframes\t1-95, 96-185\n",
        lambda: {"person01_boxing_d1_uncomp.avi": b""},
        "video",
    ),
    _records(
        "splits.json",
        "voxdata",
        "splits.json",
        find_objects,
        SPLITS,
        beside=_mesh_files("box0.obj", "box1.obj", "box2.obj"),
    ),
    _list_reader(
        "all.csv",
        "all.csv",
        b"id,synsetId,subSynsetId,modelId,split\n1,02691156,02691156,abc,train\n",
        _mesh_files(SHAPENET),
        "voxdata",
    ),
    _list_reader("train.lst", "02691156/train.lst", b"abc\ndef\n", _mesh_files(SHAPENET), "voxdata"),
    _list_reader(
        "rendering_metadata.txt",
        "ShapeNetRendering/02691156/abc/rendering/rendering_metadata.txt",
        b"10.5 25.0 0 0.8 25\n200 30 0 0.8 25\n",
        lambda: {
            "ShapeNetVox32/02691156/abc/model.binvox": seeds.binvox()[0],
            "ShapeNetRendering/02691156/abc/rendering/00.png": b"",
            "ShapeNetRendering/02691156/abc/rendering/01.png": b"",
        },
        "voxdata",
    ),
    _records("pix3d.json", "voxdata", "pix3d.json", find_objects, PIX3D, beside=_mesh_files("model/chair/a/model.obj")),
    Reader(
        "furniture catalogue",
        "voxdata",
        "a.sh3f",
        find_objects,
        lambda: [catalogue()],
        wrap=seeds.in_zip(CATALOGUE_FILE),
        structured=token_text,
    ),
    Reader("debian package", "voxdata", "a.deb", opens(read_debian_package, "a.deb"), debian),
    Reader(
        "cached video",
        "video",
        "target.npy",
        read_cache,
        lambda: [cached_video()["target.npy"]],
        lambda: {"clip.mp4": cached_video()["clip.mp4"]},
        names=("cache", "clip.mp4"),
    ),
]
