"""The export tool from end to end on untrained models, and what it says where it cannot go on."""

import re
from functools import partial
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image
from support.toys import generator, image_to_voxels

from voxgan.commands import ExportConfig
from voxgan.export import export_meshes, write_preview, write_turntable
from voxgan.rendering.raycast import render_turntable


@pytest.fixture
def use(use):
    """Runs the tool in a fresh folder but in this process."""
    return partial(use, "export_mesh")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Folders of untrained models whose objects fill about half of space, and of one whose objects are empty."""
    folder = tmp_path_factory.mktemp("models")
    pictures, noise, empty = image_to_voxels(("stool", "lamp")), generator(), generator()
    with torch.no_grad():
        for model, offset in ((pictures.generator, 0.0), (noise, 0.0), (empty, -20.0)):
            assert model.offset is not None
            model.offset.fill_(offset)
    for name, model in {"pictures": pictures, "noise": noise, "empty": empty}.items():
        model.save_pretrained(folder / name)
    return folder


@pytest.fixture
def chair(tmp_path):
    """A red chair on nothing, and with the wall behind it."""
    pixels = np.zeros((48, 40, 4), np.uint8)
    pixels[8:40, 12:16] = pixels[24:28, 12:28] = pixels[28:40, 24:28] = (200, 40, 20, 255)
    Image.fromarray(pixels).save(tmp_path / "chair.png")
    wall = np.where(pixels[..., 3:] > 0, pixels[..., :3], 230).astype(np.uint8)
    Image.fromarray(wall).save(tmp_path / "wall.jpg", quality=95)
    Image.fromarray(pixels[..., 3]).save(tmp_path / "mask.png")
    return tmp_path / "chair.png"


def read(path: str | Path) -> trimesh.Trimesh:
    mesh = trimesh.load(path, force="mesh")
    assert isinstance(mesh, trimesh.Trimesh)
    return mesh


@pytest.mark.parametrize("ending", ["glb", "obj", "ply", "stl", "3mf"])
def test_a_picture_becomes_a_closed_object(use, models, chair, ending):
    said = use(
        chair, "--model", models / "pictures", f"--out=new/chair.{ending}", "--size-mm=80", "--target-faces", 300
    )
    assert (said.code, said.err) == (0, "")
    assert re.fullmatch(rf"new/chair\.{ending}: \d+ faces, \S+ x \S+ x \S+ mm \(width, height, depth\)\n", said.out)
    mesh = read(f"new/chair.{ending}")
    assert mesh.is_volume
    assert len(mesh.faces) <= 300
    assert mesh.extents.max() == pytest.approx(80 if ending in ("stl", "3mf") else 0.08, rel=1e-4)


def test_the_object_has_the_colour_of_the_picture_unless_it_is_to_be_plain(use, models, chair):
    for name, flags in {"red": [], "plain": ["--skip-colours"]}.items():
        assert use(chair, "--model", models / "pictures", f"--out={name}.ply", *flags).code == 0
    colours = np.asarray(read("red.ply").visual.vertex_colors)
    assert colours.mean(0) == pytest.approx([200, 40, 20, 255], abs=12)
    assert read("plain.ply").visual.kind is None


def test_an_opaque_picture_is_cut_out_by_its_border_or_by_a_mask(use, models, chair):
    wall, mask = chair.with_name("wall.jpg"), chair.with_name("mask.png")
    for name, flags in {"rule": [wall], "mask": [wall, f"--masks={mask}"]}.items():
        assert use(*flags, "--model", models / "pictures", f"--out={name}.ply").code == 0
        assert np.asarray(read(f"{name}.ply").visual.vertex_colors)[:, 1].mean() < 80


def test_pictures_together_are_one_object_and_each_one_of_its_own(use, models, chair):
    flags = [chair, chair.with_name("wall.jpg"), "--model", models / "pictures", "--out=a.stl"]
    assert use(*flags).code == 0
    assert [path.name for path in Path().glob("*.stl")] == ["a.stl"]
    said = use(*flags, "--grouping=each")
    assert said.code == 0
    assert sorted(path.name for path in Path().glob("a-*.stl")) == ["a-1.stl", "a-2.stl"]
    assert said.out.count("\n") == 2


def test_samples_differ_and_come_back_with_their_seed(use, models, chair):
    flags = [chair, "--model", models / "pictures", "--class=lamp"]
    for out, extra in {
        "a.stl": ["--posterior-samples=2"],
        "b.stl": ["--posterior-samples=2", "--seed=0"],
        "c.stl": [],
    }.items():
        assert use(*flags, f"--out={out}", *extra).code == 0
    contents = [Path(name).read_bytes() for name in ("a-1.stl", "a-2.stl", "c.stl")]
    assert len(set(contents)) == 3
    assert Path("b-2.stl").read_bytes() == contents[1]


def test_classes_are_chosen_by_their_names(use, models, chair):
    for name in ("stool", "lamp"):
        assert use(chair, "--model", models / "pictures", "--class", name, f"--out={name}.stl").code == 0
    assert Path("stool.stl").read_bytes() != Path("lamp.stl").read_bytes()


@pytest.mark.parametrize("model", ["noise", "pictures"])
def test_objects_are_made_from_noise_and_object_n_stays_the_same(use, models, model):
    assert use("--model", models / model, "--count=3", "--seed=5", "--out=a.stl").code == 0
    assert use("--model", models / model, "--seed=6", "--out=one.stl").code == 0
    made = [Path(f"a-{number}.stl").read_bytes() for number in (1, 2, 3)]
    assert len(set(made)) == 3
    assert Path("one.stl").read_bytes() == made[1]
    assert read("one.stl").is_volume


def test_objects_between_two_seeds_begin_and_end_with_them(use, models):
    flags = ["--model", models / "noise"]
    assert use(*flags, "--latents=3,9", "--count=10", "--out=b.stl", "--preview=b.png", "--preview-size=48").code == 0
    for name, seed in {"b-01": 3, "b-10": 9}.items():
        assert use(*flags, f"--seed={seed}", "--out=end.stl", "--overwrite").code == 0
        assert read(f"{name}.stl").volume == pytest.approx(read("end.stl").volume, rel=1e-4)
    with Image.open("b.png") as sheet:
        assert sheet.size == (4 * 48, 2 * 48)


def test_a_sheet_of_a_turn_is_that_of_all_its_frames(tmp_path):
    mesh = trimesh.creation.box((1, 0.2, 0.1))
    write_turntable(tmp_path / "sheet.png", mesh, side=16)
    write_preview(tmp_path / "whole.png", render_turntable(mesh, side=16))
    assert (tmp_path / "sheet.png").read_bytes() == (tmp_path / "whole.png").read_bytes()


def test_a_preview_turns_the_object_in_its_colours(models, chair, tmp_path):
    preview = tmp_path / "new" / "turn.png"
    out = tmp_path / "chair.glb"
    export_meshes(
        ExportConfig(images=(chair,), model=str(models / "pictures"), out=out, preview=preview, preview_size=48)
    )
    with Image.open(preview) as sheet:
        pixels = np.asarray(sheet, int)
    shown = pixels[np.ptp(pixels, axis=2) > 20]
    assert len(shown) > pixels.shape[0] * pixels.shape[1] / 4
    assert (shown[:, 0] > 2 * shown[:, 1]).mean() > 0.8


def test_a_picture_that_fails_among_several_is_named_and_the_rest_goes_on(models, chair, tmp_path, caplog):
    Image.new("RGBA", (1, 1)).save(tmp_path / "dot.png")
    images = (chair, tmp_path / "dot.png", chair)
    out = tmp_path / "a.stl"
    made = export_meshes(ExportConfig(images=images, model=str(models / "pictures"), out=out, grouping="each"))
    assert [each.path.name for each in made] == ["a-1.stl", "a-3.stl"]
    (warning,) = caplog.messages
    assert re.fullmatch(r"left out: .*dot\.png: .*1x1 pixels.*", warning)


def test_a_picture_above_twenty_megapixels_is_refused_unless_it_is_let_in_and_reduced(use, models, chair):
    with Image.open(chair) as image:
        image.resize((4000, 5100), Image.Resampling.NEAREST).save("large.png", compress_level=1)
    flags = ["large.png", "--model", models / "pictures", "--out=large.ply"]
    for said in (use(*flags), use(chair, "--masks=large.png", *flags[1:])):
        assert said.code == 2
        refusal = r"export_mesh.py: error: large.png has 20.4 megapixels .* limit of 20; max_megapixels lets it in\n"
        assert re.fullmatch(refusal, said.err)
    assert not Path("large.ply").exists()
    assert use(*flags, "--max-megapixels=21").code == 0
    assert read("large.ply").is_volume


def test_a_run_folder_is_enough_and_its_best_model_is_taken(use, models, tmp_path):
    run = tmp_path / "run"
    copytree(models / "noise", run / "generator")
    (run / "config.json").write_text("{}")
    assert use("--model", models / "noise", "--out=noise.stl").code == 0
    assert use("--model", run, "--out=run.stl").code == 0
    assert Path("run.stl").read_bytes() == Path("noise.stl").read_bytes()
    copytree(models / "empty", run / "best")
    assert "no surface" in use("--model", run).err


def test_suffixes_may_be_in_capitals(use, models):
    said = use("--model", models / "noise", "--out=A.GLB", "--preview=A.GIF", "--preview-size=32")
    assert (said.code, said.err) == (0, "")
    assert read("A.GLB").is_volume
    with Image.open("A.GIF") as film:
        assert (film.format, film.n_frames > 8) == ("GIF", True)


def test_help_lists_every_setting_with_what_it_means(use):
    said = use("--help")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("usage: export_mesh.py")
    assert "--class" in said.out
    assert not [line for line in said.out.splitlines() if re.fullmatch(r"  --[\w.]+ \S+ +\(type.*", line)]


# ----------------------------------------------------------------------------------------------------- bad input


@pytest.fixture
def bad(tmp_path, chair, models):
    """Everything that can be wrong; its names stand in braces in the flags below."""
    Image.new("RGBA", (1, 1), (9, 9, 9, 255)).save(tmp_path / "dot.png")
    Image.new("RGBA", (64, 64), (9, 9, 9, 0)).save(tmp_path / "clear.png")
    Image.new("RGB", (64, 64), (9, 9, 9)).save(tmp_path / "flat.png")
    Image.new("RGB", (40, 48), (9, 9, 9)).save(tmp_path / "empty.png")
    noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.jpg", quality=90)
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "noise.txt").write_text("no object")
    (tmp_path / "half.stl").write_text("solid half\nfacet")
    (tmp_path / "run").mkdir()
    (tmp_path / "cut.png").write_bytes(chair.read_bytes()[:60])
    return {"bad": tmp_path, "chair": chair, "models": models}


PICTURE = ["{chair}", "--model={models}/pictures", "--out=o.glb", "--overwrite"]
NOISE = ["--model={models}/noise", "--out=o.glb", "--overwrite"]
MISTAKES = {
    "one pixel": (["{bad}/dot.png", *PICTURE[1:]], r"dot\.png.*1x1"),
    "all transparent": (["{bad}/clear.png", *PICTURE[1:]], r"clear\.png.*no object"),
    "all of one colour": (["{bad}/flat.png", *PICTURE[1:]], r"flat\.png.*no object"),
    "no background": (["{bad}/noise.jpg", *PICTURE[1:]], r"noise\.jpg: .*cannot be separated.*background.*--masks"),
    "a text as a picture": (["{bad}/text.png", *PICTURE[1:]], r"text\.png as an image"),
    "half a picture": (["{bad}/cut.png", *PICTURE[1:]], r"cut\.png as an image"),
    "no such picture": (["{bad}/none.png", *PICTURE[1:]], r"no such file: .*none\.png"),
    "one bad of two": (["{chair}", "{bad}/dot.png", *PICTURE[1:]], r"dot\.png.*1x1"),
    "no such mask": ([*PICTURE, "--masks={bad}/none.png"], r"no such file: .*none\.png"),
    "an empty mask": ([*PICTURE, "--masks={bad}/empty.png"], r"chair\.png.*no object"),
    "too few masks": (["{chair}", *PICTURE, "--masks={chair}"], "masks: 2 pictures need as many masks, got 1"),
    "an unknown class": ([*PICTURE, "--class=sofa"], "sofa.*stool, lamp"),
    "a class of each": (["{chair}", *PICTURE, "--grouping=each", "--class=sofa"], "sofa.*stool, lamp"),
    "a class without classes": ([*NOISE, "--class=sofa"], "sofa.*no classes"),
    "a picture for noise": (["{chair}", *NOISE], "noise holds a VoxelGenerator, not the ImageToVoxels needed"),
    "no such model": ([*PICTURE, "--model={bad}/none"], "none is neither a folder with a model nor a Hub repository"),
    "a run without a model": ([*PICTURE, "--model={bad}/run"], r"run holds no model"),
    "an unknown ending": ([*PICTURE, "--out=o.fbx"], r"cannot write o\.fbx: the ending must be one of \.glb"),
    "a preview's ending": ([*PICTURE, "--preview=o.avi"], r"cannot write o\.avi: the ending must be one of \.mp4"),
    "below a file": ([*PICTURE, "--out={bad}/text.png/o.glb"], r"cannot write .*text\.png/o\.glb"),
    "nothing to see": ([*NOISE, "--model={models}/empty"], r"no surface: the highest probability is \S+e-\d+"),
    "a threshold": ([*PICTURE, "--threshold=1.5"], "threshold must lie between 0 and 1, got 1.5"),
    "a negative size": ([*PICTURE, "--size-mm=-3"], r"size_mm must lie in \[0.001, 1,000,000\], got -3"),
    "a size too large for a file": (
        [*PICTURE, "--size-mm=1e39"],
        r"size_mm must lie in \[0.001, 1,000,000\], got 1e\+39",
    ),
    "a seed too large": ([*NOISE, f"--latents={10**22}"], f"latents: {10**22} is too large for a seed"),
    "a size that is no number": ([*PICTURE, "--size-mm=nan"], r"size_mm should be float \| null, not nan"),
    "one latent often": ([*NOISE, "--latents=3", "--count=4"], "one latent, or a weighted sum of several, gives one"),
    "a way through nothing": ([*NOISE, "--latents=3,4"], "count must be at least 2, the number of latents, got 1"),
    "too few weights": ([*NOISE, "--latents=3,4,5", "--weights=1,2"], "weights: 3 latents need as many weights, got 2"),
    "weights of nothing": ([*NOISE, "--weights=1,2"], "weights: 0 latents need as many weights, got 2"),
    "no such latent": ([*NOISE, "--latents=none.glb"], "no such file: none.glb"),
    "a latent of a picture": ([*NOISE, "--latents={chair}"], "chair.png: this model has no encoder"),
    "a latent of what is no object": ([*NOISE, "--latents={bad}/noise.txt"], r"noise\.txt is not a mesh .*not voxels"),
    "a latent of half a mesh": ([*NOISE, "--latents={bad}/half.stl"], r"half\.stl"),
    "a negative truncation": ([*NOISE, "--truncation=-1"], r"truncation must be at least 0 and finite, got -1"),
    "files cut off": ([*NOISE, "--latents={chair}", "--truncation=1"], "truncation is for noise: none of the latents"),
    "steps backwards": ([*NOISE, "--projection-steps=-1"], "projection_steps must be at least 0, got -1"),
    "no preview": ([*PICTURE, "--preview-size=0"], "preview_size must be at least 1, got 0"),
    "pictures by count": ([*PICTURE, "--count=4"], "count, latents and truncation are for objects from noise"),
    "noise by samples": ([*NOISE, "--posterior-samples=4"], "posterior_samples and masks are for objects in pictures"),
    "a typo": ([*PICTURE, "--sise-mm=3"], "unknown key --sise_mm; did you mean --size_mm"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_clear_line_and_overwrites_nothing(use, bad, mistake):
    flags, complaint = MISTAKES[mistake]
    Path("o.glb").write_bytes(b"older")
    before = sorted(path.name for path in Path().iterdir())
    said = use(*(flag.format(**bad) for flag in flags))
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("export_mesh.py: error: ")
    assert said.err.count("\n") == 1
    assert re.search(complaint, said.err), said.err
    assert Path("o.glb").read_bytes() == b"older"
    assert sorted(path.name for path in Path().iterdir()) == before
