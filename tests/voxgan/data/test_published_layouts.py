"""Published data sets of objects as they lie on disk, each made here in small."""

import json
from pathlib import Path

import numpy as np
import pytest
from support.layouts import SHAPE, by_id, mesh, picture, problems, stands_right, text, voxels

from voxgan.data.layouts import find_objects
from voxgan.data.sources import SourceImage

CHAIR, SOFA = "03001627", "04256520"


# ShapeNet and what is made of it


def test_shapenet_1_needs_nothing_but_its_models(tmp_path: Path):
    mesh(tmp_path / CHAIR / "a" / "model.obj", x="z", z="-x")  # its front looks along x
    mesh(tmp_path / SOFA / "b" / "model.obj", x="z", z="-x")
    picture(tmp_path / SOFA / "b" / "images" / "texture.png")
    (tmp_path / CHAIR / "empty").mkdir()
    layout = find_objects(tmp_path)
    assert layout.name == "shapenet"
    found = by_id(layout)
    assert {name: source.label for name, source in found.items()} == {f"{CHAIR}/a": "chair", f"{SOFA}/b": "sofa"}
    assert not any(source.split or source.images for source in layout.sources)
    stands_right(found[f"{CHAIR}/a"])
    assert list(by_id(find_objects(tmp_path / CHAIR))) == [f"{CHAIR}/a"]


def test_models_without_files_are_named(tmp_path: Path):
    mesh(tmp_path / "one" / CHAIR / "a" / "model.obj")
    (tmp_path / "one" / CHAIR / "empty").mkdir()
    (tmp_path / "one" / CHAIR / "new" / "models").mkdir(parents=True)
    lost = "its folder holds no mesh and no voxels"
    assert problems(find_objects(tmp_path / "one")) == {f"{CHAIR}/empty": lost, f"{CHAIR}/new": lost}
    r2n2(tmp_path / "two")
    (tmp_path / "two" / "ShapeNetVox32" / CHAIR / "c").mkdir()
    assert problems(find_objects(tmp_path / "two")) == {f"{CHAIR}/c": lost}


def test_folders_with_dates_for_names_are_no_shapenet(tmp_path: Path):
    mesh(tmp_path / "20240131" / "scan" / "chair.obj")
    layout = find_objects(tmp_path)
    assert (layout.name, list(by_id(layout)), layout.left_out) == ("folder", ["20240131/scan/chair"], ())


def test_shapenet_2_gives_mesh_and_solid_voxels_and_the_split_of_all_csv(tmp_path: Path):
    for name in "abc":
        folder = tmp_path / CHAIR / name / "models"
        mesh(folder / "model_normalized.obj", x="-x", z="-z")
        voxels(folder / "model_normalized.solid.binvox", SHAPE[::-1, :, ::-1])
        voxels(folder / "model_normalized.surface.binvox", ~SHAPE)
    mesh(tmp_path / "09999999" / "d" / "models" / "model_normalized.obj")
    rows = [f"1,{CHAIR},,a,train", f"2,{CHAIR.lstrip('0')},,b,val", "3,09999999,,d,test"]
    text(tmp_path / "all.csv", "\n".join(["id,synsetId,subSynsetId,modelId,split", *rows]))
    found = by_id(find_objects(tmp_path))
    assert [source.split for source in found.values()] == ["train", "val", None, "test"]
    assert found["09999999/d"].label == "09999999"
    assert found["09999999/d"].occupancy is None
    stands_right(found[f"{CHAIR}/a"])


def r2n2(root: Path, *, views: int = 3) -> None:
    for name in ("a", "b"):
        voxels(root / "ShapeNetVox32" / CHAIR / name / "model.binvox", SHAPE.transpose(2, 1, 0)[:, :, ::-1])
    rendering = root / "ShapeNetRendering" / CHAIR / "a" / "rendering"
    for number in range(views):
        picture(rendering / f"{number:02d}.png")
    lines = [f"{90 * number} 25.5 0 0.8 25" for number in range(3)]
    text(rendering / "rendering_metadata.txt", "\n".join(lines) + "\n")
    text(rendering / "renderings.txt", "\n".join(f"{number:02d}.png" for number in range(views)))


def test_the_r2n2_set_gives_voxels_pictures_and_their_cameras(tmp_path: Path):
    r2n2(tmp_path)
    layout = find_objects(tmp_path)
    assert layout.name == "r2n2"
    found = by_id(layout)
    stands_right(found[f"{CHAIR}/a"])
    shown = found[f"{CHAIR}/a"].images
    assert [view.path.name for view in shown] == ["00.png", "01.png", "02.png"]
    assert [view.elevation for view in shown] == pytest.approx([25.5] * 3)
    # at 90 the camera has moved from the mesh's x axis, where its front is, to the z axis: to the object's right hand
    assert [view.azimuth for view in shown] == pytest.approx([0, 270, 180])
    assert found[f"{CHAIR}/b"].images == ()


def test_cameras_that_do_not_fit_the_pictures_are_not_guessed(tmp_path: Path):
    r2n2(tmp_path, views=2)
    shown = by_id(find_objects(tmp_path))[f"{CHAIR}/a"].images
    assert len(shown) == 2
    assert all(view.azimuth is None for view in shown)


def test_lists_of_parts_are_followed_as_pix2vox_publishes_them(tmp_path: Path):
    r2n2(tmp_path)
    parts = {"taxonomy_id": CHAIR, "taxonomy_name": "chair", "train": ["a"], "val": [], "test": ["b", "gone"]}
    text(tmp_path / "ShapeNet.json", json.dumps([parts]))
    assert [source.split for source in find_objects(tmp_path).sources] == ["train", "test"]


def test_the_set_of_occupancy_networks_gives_voxels_pictures_and_its_lists(tmp_path: Path):
    for name in "ab":
        voxels(tmp_path / CHAIR / name / "model.binvox")
        picture(tmp_path / CHAIR / name / "points.png")
        np.savez(tmp_path / CHAIR / name / "points.npz", points=np.ones((4, 3)), occupancies=np.ones(1, np.uint8))
        picture(tmp_path / CHAIR / name / "img_choy2016" / "000.jpg")
    text(tmp_path / CHAIR / "train.lst", "a\n")
    text(tmp_path / CHAIR / "test.lst", "b")
    sources = find_objects(tmp_path).sources
    assert [(source.split, len(source.images)) for source in sources] == [("train", 1), ("test", 1)]


# ModelNet


def test_modelnet_meshes_with_glued_headers_stand_upright(tmp_path: Path):
    for part, number in (("train", 1), ("test", 2)):
        path = tmp_path / "night_stand" / part / f"night_stand_000{number}.off"
        mesh(path, y="-z", z="y")
        lines = path.read_text().split("\n")
        path.write_text("OFF" + "\n".join(lines[1:]).lstrip())
        assert path.read_text()[:4] in ("OFF6", "OFF7")
    layout = find_objects(tmp_path)
    assert layout.name == "modelnet"
    assert [(source.label, source.split) for source in layout.sources] == [
        ("night_stand", "test"),
        ("night_stand", "train"),
    ]
    stands_right(layout.sources[0])
    assert [source.label for source in find_objects(tmp_path / "night_stand").sources] == ["night_stand"] * 2


def test_modelnet_voxels_are_read_in_the_first_of_their_turns(tmp_path: Path):
    upright = SHAPE.transpose(0, 2, 1)[:, ::-1]
    for turn in (1, 2, 10):
        path = tmp_path / "volumetric_data" / "chair" / "30" / "train" / f"chair_000000007_{turn}.mat"
        grid = np.pad(upright if turn == 1 else upright.transpose(1, 0, 2), 3).astype(np.uint8)
        voxels(path, instance=grid)
    voxels(tmp_path / "volumetric_data" / "chair" / "30" / "test" / "chair_000000008_2.mat", instance=upright)
    layout = find_objects(tmp_path)
    assert layout.name == "modelnet-voxels"
    found = by_id(layout)
    assert {name: source.split for name, source in found.items()} == {
        "chair/chair_000000007": "train",
        "chair/chair_000000008": "test",
    }
    stands_right(found["chair/chair_000000007"])


# Pix3D and IKEA


def pix3d(root: Path, **changes) -> None:
    mesh(root / "model" / "chair" / "IKEA_A" / "model.obj", x="-x", z="-z")  # x leftward, y upward, z inward
    grid = SHAPE.transpose(0, 2, 1)[::-1]  # x leftward, y outward, z upward
    voxels(root / "model" / "chair" / "IKEA_A" / "voxel.mat", voxel=np.pad(grid, 2).astype(np.uint8))
    record = {
        "img": "img/chair/0001.png",
        "mask": "mask/chair/0001.png",
        "category": "chair",
        "img_size": [9, 9],
        "bbox": [1, 2, 8, 9],
        "model": "model/chair/IKEA_A/model.obj",
        "voxel": "model/chair/IKEA_A/voxel.mat",
        "cam_position": [0, 0, -1.5],
        "truncated": False,
        "occluded": False,
        "slightly_occluded": True,
    }
    others = [{"cam_position": [-1, 1, 0]}, {"truncated": True}, {"occluded": True}, {"cam_position": None}]
    text(root / "pix3d.json", json.dumps([record, *(record | other for other in others), record | changes]))


def test_pix3d_meshes_and_voxels_overlap_though_their_axes_differ(tmp_path: Path):
    pix3d(tmp_path)
    layout = find_objects(tmp_path)
    assert layout.name == "pix3d"
    (source,) = layout.sources
    assert (source.id, source.label) == ("chair/IKEA_A/model", "chair")
    stands_right(source)


def test_pix3d_pictures_come_with_mask_box_and_camera_unless_something_hides_the_object(tmp_path: Path):
    pix3d(tmp_path)
    first, second, unknown, _ = find_objects(tmp_path).sources[0].images
    image, mask = tmp_path / "img" / "chair" / "0001.png", tmp_path / "mask" / "chair" / "0001.png"
    assert first == SourceImage(image, mask, 0.0, 0.0, (1, 2, 8, 9))
    assert (second.azimuth, second.elevation) == pytest.approx((90, 45))  # the camera is on the right of the picture
    assert unknown.azimuth is None


def test_pix3d_needs_no_binvox_and_either_mesh_or_voxels_will_do(tmp_path: Path):
    pix3d(tmp_path, model="model/chair/gone/model.obj", voxel="model/chair/gone/voxel.mat")
    (tmp_path / "model" / "chair" / "IKEA_A" / "model.obj").unlink()
    (source,) = find_objects(tmp_path).sources
    assert source.mesh is None
    stands_right(source)


def test_pix3d_models_without_files_or_outside_of_the_folder_are_named(tmp_path: Path):
    pix3d(tmp_path / "set", model="model/a.obj", voxel="model/a.mat")
    mesh(tmp_path / "outside.obj")
    records = json.loads((tmp_path / "set" / "pix3d.json").read_text())
    for change in ({"model": "../outside.obj"}, {"model": "model/b.obj", "img": "/etc/passwd"}):
        records.append(records[0] | change)
    text(tmp_path / "set" / "pix3d.json", json.dumps(records))
    layout = find_objects(tmp_path / "set")
    assert [source.id for source in layout.sources] == ["chair/IKEA_A/model"]
    reasons = problems(layout)
    assert reasons["a"] == "neither model/a.obj nor model/a.mat is there"
    assert "leads out of" in reasons["../outside"]
    assert "leads out of" in reasons["b"]


@pytest.mark.parametrize(
    "change",
    [
        *({"bbox": [0, 1]}, {"bbox": [0, 0, float("inf"), 0]}, {"cam_position": "here"}, {"cam_position": [1, 2]}),
        *({"img": 3}, {"category": 3}, {"model": None}, {"model": ["a"]}),
    ],
)
def test_pix3d_records_that_make_no_sense_are_one_line(tmp_path: Path, change: dict):
    pix3d(tmp_path)
    records = json.loads((tmp_path / "pix3d.json").read_text())
    text(tmp_path / "pix3d.json", json.dumps([record | change for record in records]))
    with pytest.raises(ValueError, match=r"pix3d\.json as a list of Pix3D records"):
        find_objects(tmp_path)


def test_a_camera_of_pix3d_that_is_not_a_number_is_unknown(tmp_path: Path):
    pix3d(tmp_path, cam_position=[float("nan"), 0, 1])
    assert find_objects(tmp_path).sources[0].images[-1].azimuth is None


def test_a_damaged_pix3d_json_is_named(tmp_path: Path):
    text(tmp_path / "pix3d.json", '[{"img": "a.png"}]')
    with pytest.raises(ValueError, match=r"pix3d\.json as a list of Pix3D records: 'model'"):
        find_objects(tmp_path)
    text(tmp_path / "pix3d.json", "[" * 100_000)
    with pytest.raises(ValueError, match=r"cannot read .*pix3d\.json as JSON"):
        find_objects(tmp_path)


def test_the_ikea_set_of_3d_gan_pairs_pictures_and_models_by_its_lists(tmp_path: Path):
    for name in ("IKEA_chair_A_obj0_object", "IKEA_chair_B_obj0_object", "IKEA_bed_C_obj0_object"):
        voxels(tmp_path / "model" / f"{name}.mat", voxel=SHAPE.transpose(0, 2, 1)[::-1].astype(np.uint8))
    for number in (1, 2, 3):
        picture(tmp_path / "chair" / f"000{number}.png")
    text(tmp_path / "list" / "chair.txt", "IKEA_chair_B_obj0_object\nIKEA_chair_A_obj0_object.mat\n" * 2)
    layout = find_objects(tmp_path)
    assert layout.name == "ikea-3dgan"
    found = by_id(layout)
    assert [source.label for source in found.values()] == ["bed", "chair", "chair"]
    shown = {name: [view.path.name for view in source.images] for name, source in found.items()}
    assert shown["IKEA_chair_B_obj0_object"] == ["0001.png", "0003.png"]
    assert shown["IKEA_chair_A_obj0_object"] == ["0002.png"]
    assert shown["IKEA_bed_C_obj0_object"] == []
    stands_right(layout.sources[0])


def test_ikea_models_are_of_the_class_in_their_folders_name(tmp_path: Path):
    mesh(tmp_path / "IKEA" / "IKEA_bookcase_BILLY" / "a.obj")
    mesh(tmp_path / "IKEA" / "IKEA_bed_MALM" / "b.obj")
    layout = find_objects(tmp_path)
    assert (layout.name, [source.label for source in layout.sources]) == ("ikea", ["bed", "bookcase"])


def test_models_that_an_ikea_list_names_and_that_are_not_there_are_named(tmp_path: Path):
    voxels(tmp_path / "model" / "IKEA_bed_C.mat", voxel=SHAPE.astype(np.uint8))
    picture(tmp_path / "bed" / "0001.png")
    text(tmp_path / "list" / "bed.txt", "IKEA_bed_C\nIKEA_bed_D\n")
    assert problems(find_objects(tmp_path)) == {"IKEA_bed_D": "a list names it, but it has no voxels"}


# any other folder
