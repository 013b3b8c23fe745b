"""The furniture's catalogues are read as they mean it; the embedded data set holds what it promises."""

import csv
import io
import tarfile
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import trimesh

from gancore.errors import UnreadableError
from gancore.files.limits import ReadingLimits, ShapeLimits
from voxgan.commands import PrepareConfig
from voxgan.data.layouts import find_objects
from voxgan.data.near_duplicates import find_near_duplicates
from voxgan.data.packed import open_packed_dataset
from voxgan.data.prepare import prepare_dataset
from voxgan.data.sweethome3d import (
    FRONT_ANGLES,
    LICENCES,
    RESERVED,
    classify_model,
    find_furniture,
    read_catalogue,
    unpack_package,
)

ROOT = Path(__file__).resolve().parents[3]

# A seat lying on its back: once turned upright its back rest stands behind it.
ENTRIES = """
id=Test
name#1=Chair
category#1=Living room
model#1=/scopia/lying/lying.obj
width#1=50
depth#1=60
height#1 = 90
modelRotation#1=1 0 0 0 0 1 0 -1 0
creator#1=Ada & Bob
name#2=Armchair
model#2=/scopia/armchair1/armchair1.obj
width#2=50
depth#2=60
height#2=90
creator#2=Ada
name#3=Caf\\u00e9 table
model#3=/scopia/slab/slab.obj
width#3=100
depth#3=50
height#3=50
"""


def obj(mesh: trimesh.Trimesh) -> str:
    return trimesh.exchange.obj.export_obj(mesh, include_normals=False)


@pytest.fixture
def catalogue(tmp_path):
    seat = trimesh.creation.box(bounds=((0, 0, 0), (2, 2, 1)))
    rest = trimesh.creation.box(bounds=((0, 1.5, 0), (2, 2, 4)))
    lying = trimesh.util.concatenate(seat, rest)  # z is up, y looks backward
    path = tmp_path / "catalogues" / "Test.sh3f"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("PluginFurnitureCatalog.properties", ENTRIES.encode("latin-1"))
        archive.writestr("scopia/lying/lying.obj", obj(lying))
        for name in ("armchair1", "slab"):
            archive.writestr(f"scopia/{name}/{name}.obj", obj(trimesh.creation.box((1, 1, 1))))
    return path


def test_a_model_stands_upright_as_large_as_its_catalogue_says(catalogue, tmp_path):
    chair = read_catalogue(catalogue)[0]
    assert (chair.id, chair.label, chair.creator) == ("scopia/lying", "chair", "Ada & Bob")
    assert chair.licence == "CC-BY-3.0"
    mesh = chair.stand_upright(trimesh.load(chair.unpack(tmp_path / "out")))
    np.testing.assert_allclose(mesh.extents, (50, 90, 60))
    upper = mesh.vertices[mesh.vertices[:, 1] > mesh.bounds[1, 1] - 1]
    assert np.allclose(upper[:, 2].max(), mesh.bounds[0, 2] + 15), "the rest is behind, at -z"


def test_models_that_look_elsewhere_are_turned_to_the_front(catalogue):
    chair = read_catalogue(catalogue)[0]
    sideways = type(chair)(
        **{**vars(chair), "id": "blendswap-cc-0/forkLift", "rotation": (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)}
    )
    nose = trimesh.creation.box(bounds=((-4, 0, -1), (1, 1, 1)))
    assert FRONT_ANGLES[sideways.id] == 90
    turned = sideways.stand_upright(nose)
    np.testing.assert_allclose(turned.bounds[1], (60 / 2, 90, 40), err_msg="-x has become +z")


def test_reserved_models_are_left_out(catalogue):
    assert "scopia/armchair1" in RESERVED
    assert [item.id for item in find_furniture([catalogue])] == ["scopia/lying", "scopia/slab"]


def test_the_package_and_its_catalogues_give_the_same_data_set(catalogue, tmp_path):
    package = tmp_path / "furniture.deb"
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:xz") as archive:
        archive.add(catalogue, "./usr/share/sweethome3d/furniture/Test.sh3f")
    members = {"debian-binary": b"2.0\n", "control.tar.xz": b"odd", "data.tar.xz": data.getvalue()}
    lines = [
        f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode() + content + b"\n" * (len(content) % 2)
        for name, content in members.items()
    ]
    package.write_bytes(b"!<arch>\n" + b"".join(lines))
    made = []
    for source in (package, catalogue.parent):
        out = tmp_path / "set"
        prepare_dataset(PrepareConfig(folder=source, out=out, side=8, views=1, view_size=16, workers=1))
        made.append({path.name: path.read_bytes() for path in out.iterdir()})
    assert made[0] == made[1]
    packed = open_packed_dataset(str(tmp_path / "set"))
    assert packed.classes == ("chair", "table")
    assert packed.objects[0].creator == "Ada & Bob"
    assert packed.occupancy(1).sum() == 8 * 4 * 4


@pytest.mark.parametrize("content", [b"", b"!<arch>\n", b"hello, I am a package", b"!<arch>\ndata.tar  " + b"x" * 90])
def test_a_file_that_is_not_a_package_is_named(tmp_path, content):
    (tmp_path / "a.deb").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.deb"):
        unpack_package(tmp_path / "a.deb", tmp_path / "out")


def test_a_file_that_is_not_a_catalogue_is_named(tmp_path):
    (tmp_path / "a.sh3f").write_bytes(b"PK?")
    with pytest.raises(ValueError, match=r"a\.sh3f is not a furniture catalogue"):
        read_catalogue(tmp_path / "a.sh3f")


def rewrite(catalogue: Path, entries: str, **members: bytes) -> Path:
    """Replaces the list of a catalogue, and adds members."""
    with zipfile.ZipFile(catalogue) as archive:
        kept = {name: archive.read(name) for name in archive.namelist() if name.startswith("scopia")}
    with zipfile.ZipFile(catalogue, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("PluginFurnitureCatalog.properties", entries.encode("latin-1"))
        for name, content in (kept | members).items():
            archive.writestr(name, content)
    return catalogue


@pytest.mark.parametrize(
    "line",
    ["width#1=nan", "width#1=0", "width#1=wide", "depth#1=-1", "modelRotation#1=1 0 0", "model#1=", "height#1=1e999"],
)
def test_an_entry_that_makes_no_sense_costs_no_other_model(catalogue, line):
    rewrite(catalogue, ENTRIES + line + "\n")
    lost = [source for source in find_furniture([catalogue]) if source.problem]
    assert len(lost) == 1
    assert "its entry in Test.sh3f is invalid" in lost[0].problem
    layout = find_objects(catalogue)
    assert [source.id for source in layout.sources] == ["scopia/slab"]
    assert len(layout.left_out) == 1


def test_a_catalogue_that_cannot_be_read_costs_no_other(catalogue):
    (catalogue.parent / "broken.sh3f").write_bytes(b"PK?")
    layout = find_objects(catalogue.parent)
    assert [source.id for source in layout.sources] == ["scopia/lying", "scopia/slab"]
    assert [source.id for source in layout.left_out] == ["broken.sh3f"]


def test_a_catalogue_with_a_list_that_unpacks_to_gigabytes_is_refused_before(catalogue, monkeypatch):
    monkeypatch.setattr("voxgan.data.sweethome3d.MAX_LIST_BYTES", 10**5)
    rewrite(catalogue, "a" * 10**6)
    with pytest.raises(UnreadableError, match="its list is longer than the 100,000 bytes"):
        read_catalogue(catalogue)


def test_a_model_that_unpacks_to_gigabytes_is_refused_before(catalogue):
    rewrite(catalogue, ENTRIES, **{"scopia/slab/zeros": bytes(10**7)})
    slab = find_furniture([catalogue])[1]
    with pytest.raises(UnreadableError, match=r"0.01 GB, above the limit"):
        slab.load_mesh(limits=ShapeLimits(max_gigabytes=1e-3))


def test_a_model_whose_path_leads_out_of_its_catalogue_is_refused(catalogue, tmp_path):
    trimesh.creation.box().export(tmp_path / "secret.obj")
    rewrite(catalogue, ENTRIES.replace("/scopia/slab/slab.obj", f"/scopia/../../../../../../..{tmp_path}/secret.obj"))
    layout = find_objects(catalogue)
    with pytest.raises(UnreadableError, match="leads out of"):
        layout.sources[-1].load_mesh()


def test_a_model_changed_in_its_catalogue_is_prepared_anew(catalogue, tmp_path):
    config = PrepareConfig(folder=catalogue, out=tmp_path / "set", side=8, views=0, view_size=16, workers=1)
    prepare_dataset(config)
    before = open_packed_dataset(str(tmp_path / "set")).occupancy(1)
    rewrite(catalogue, ENTRIES.replace("width#3=100", "width#3=50"))
    prepare_dataset(config)
    assert before.sum() < open_packed_dataset(str(tmp_path / "set")).occupancy(1).sum()


def deb(path: Path, files: dict[str, bytes]) -> Path:
    """A Debian package of these files."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:xz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    header = f"{'data.tar.xz':<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data.getvalue()):<10}`\n".encode()
    path.write_bytes(b"!<arch>\n" + header + data.getvalue())
    return path


def test_a_package_writes_nothing_outside_and_unpacks_nothing_above_the_limit(tmp_path):
    package = deb(tmp_path / "a.deb", {"../../outside.sh3f": b"PK", "zeros": bytes(10**7)})
    with pytest.raises(UnreadableError, match=r"0.01 GB, above the limit"):
        unpack_package(package, tmp_path / "a", limits=ReadingLimits(max_gigabytes=1e-3))
    package = deb(tmp_path / "a.deb", {"../../outside.sh3f": b"PK"})
    assert unpack_package(package, tmp_path / "b" / "c" / "d") == [tmp_path / "b" / "c" / "d" / "outside.sh3f"]
    package = deb(tmp_path / "a.deb", {"a/one.sh3f": b"PK", "b/one.sh3f": b"PK"})
    with pytest.raises(UnreadableError, match=r"two catalogues named one\.sh3f"):
        unpack_package(package, tmp_path / "e")


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("Folding chair", "chair"),
        ("Bar stool", "chair"),
        ("Wheelchair", "other"),
        ("Armchair ottoman", "chair"),
        ("Piano bench", "sofa"),
        ("Abdominal bench", "other"),
        ("Bedside table", "cabinet"),
        ("Shelves", "cabinet"),
        ("Table tennis bat", "other"),
        ("Tablet", "other"),
        ("Desk", "table"),
        ("Opened convertible sofa BZ", "bed"),
        ("Window blind", "other"),
        ("Double door", "door"),
        ("Holding female", "person"),
        ("Christmas tree", "plant"),
        ("Glass", "other"),
        ("Screen", "other"),
    ],
)
def test_the_name_tells_the_class(name, label):
    assert classify_model(name) == label


# ------------------------------------------------------------------------------------------- what is in the package


@pytest.fixture(scope="module")
def embedded():
    return open_packed_dataset("furniture")


def test_the_embedded_set_is_whole_and_small(embedded):
    assert embedded.side == 32
    assert len(embedded) > 700
    assert sum(path.stat().st_size for path in embedded.folder.iterdir()) < 5e6
    for index, item in enumerate(embedded.objects):
        occupancy = embedded.occupancy(index)
        assert np.ptp(np.argwhere(occupancy), axis=0).max() >= 30, f"{item.id} is as long as the cube"
        picture = embedded.read_view(index, index % len(item.cameras))
        assert picture.shape == (64, 64, 4)
        assert 0 < (picture[..., 3] > 127).mean() < 1


def test_the_embedded_set_has_every_class_in_training_and_test(embedded):
    assert embedded.classes == tuple(
        sorted(["chair", "table", "sofa", "lamp", "cabinet", "bed", "person", "door", "plant", "vehicle", "other"])
    )
    counts = Counter((item.label, item.split) for item in embedded.objects)
    assert all(counts[label, "train"] >= 8 and counts[label, "test"] >= 2 for label in embedded.classes)
    assert 0.15 < len(embedded.indices("test")) / len(embedded) < 0.25


def test_nothing_reserved_and_no_near_duplicate_of_a_training_object_is_held_out(embedded):
    assert RESERVED.isdisjoint(item.id for item in embedded.objects)
    bits = np.stack([np.packbits(embedded.occupancy(index)) for index in range(len(embedded))])
    pairs = list(find_near_duplicates(bits, side=32))
    assert pairs
    assert all(embedded.objects[one].split == embedded.objects[other].split for one, other, _ in pairs)


def test_every_model_has_its_creator_and_its_licence_named(embedded):
    notice = " ".join((ROOT / "NOTICE").read_text(encoding="utf-8").split())
    for item in embedded.objects:
        assert item.licence in LICENCES.values()
        assert item.creator
        assert item.creator in notice
    with (embedded.folder / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    assert all(rows[item.id]["creator"] == item.creator for item in embedded.objects)
    assert not any("/tmp" in row["reason"] or "/home" in row["reason"] for row in rows.values())
