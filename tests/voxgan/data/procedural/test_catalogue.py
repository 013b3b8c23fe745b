"""Every program makes whole furniture that depends on its kind and seed alone."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from voxgan.data.packed import open_packed_dataset
from voxgan.data.procedural.catalogue import KINDS, build_furniture, choose_kind
from voxgan.data.procedural.furniture import Furniture

SEEDS = range(100, 106)


@pytest.fixture(scope="module")
def furniture() -> list[Furniture]:
    """A few objects of every kind."""
    return [build_furniture(kind, seed) for kind in KINDS for seed in SEEDS]


def digest(furniture: Furniture) -> str:
    built = furniture.textured_mesh
    assert built.textures is not None
    arrays = (built.mesh.vertices, built.mesh.faces, built.textures.uv, *built.textures.images)
    content = b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)
    return hashlib.blake2b(content + repr(furniture.parameters).encode(), digest_size=16).hexdigest()


def signed_volume(vertices: np.ndarray, faces: np.ndarray) -> float:
    a, b, c = np.moveaxis((vertices - vertices.mean(0))[faces], 1, 0)
    return float(np.einsum("fc,fc->", a, np.cross(b, c))) / 6


def test_every_solid_is_closed_and_faces_outward(furniture):
    for each in furniture:
        assert each.textured_mesh.mesh.is_watertight, (each.kind, each.seed)
        assert each.textured_mesh.mesh.is_winding_consistent, (each.kind, each.seed)
        for part in each.parts:
            for solid in part.solids:
                assert np.isfinite(solid.vertices).all()
                assert signed_volume(solid.vertices, solid.faces) > 0, (each.kind, each.seed, part.name)


def test_everything_stands_on_the_floor_and_has_the_size_of_furniture(furniture):
    for each in furniture:
        low, high = each.textured_mesh.mesh.bounds
        assert low[1] == pytest.approx(0, abs=1e-9)
        longest = (high - low).max()
        assert 0.15 < longest < 5, (each.kind, each.seed)
        assert (high - low).min() > 0.05, (each.kind, each.seed)


def test_parts_have_names_of_their_own_and_a_sentence_describes_the_whole(furniture):
    for each in furniture:
        names = [part.name for part in each.parts]
        assert len(set(names)) == len(names) > 0, (each.kind, each.seed)
        assert each.description[0] in "AE"
        assert each.description.endswith(".")
        assert each.parts[0].material.name in each.description or len(each.parts) > 1
        assert each.parameters


def test_classes_are_those_of_the_bundled_furniture():
    assert {kind.label for kind in KINDS.values()} <= set(open_packed_dataset("furniture").classes)


@pytest.mark.parametrize("kind", ["chair", "office-chair", "sofa", "bed"])
def test_what_is_high_is_behind_as_the_front_faces_z(kind):
    parameters = {"bed": {"style": "bed", "head": "panel", "foot": "none"}}.get(kind, {})
    for seed in SEEDS:
        vertices = build_furniture(kind, seed, parameters=parameters).textured_mesh.mesh.vertices
        top = vertices[:, 1] > 0.85 * vertices[:, 1].max()
        middle = (vertices[:, 2].min() + vertices[:, 2].max()) / 2
        assert vertices[top, 2].mean() < middle, seed


def test_no_two_seeds_make_the_same(furniture):
    assert len({digest(each) for each in furniture}) == len(furniture)


def test_another_process_builds_the_same_whatever_was_built_before():
    kinds = ("lamp", "chair", "shelf")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from test_catalogue import build_furniture, digest\n"
        f"print(*(digest(build_furniture(kind, 7)) for kind in {kinds}))"
    )
    folder = __file__.rpartition("/")[0]
    done = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [digest(build_furniture(kind, 7)) for kind in reversed(kinds)][::-1]


def test_parameters_can_be_given_and_change_nothing_else():
    seed = 12
    before = build_furniture("chair", seed, parameters={"style": "wooden", "back": "ladder", "rails": 3})
    after = build_furniture("chair", seed, parameters={"style": "wooden", "back": "ladder", "rails": 5})
    changed = {name for name in before.parameters if before.parameters[name] != after.parameters[name]}
    assert changed == {"rails"}
    assert "a ladder back of 5 rails" in after.description


@pytest.mark.parametrize(
    ("kind", "seed", "parameters", "message"),
    [
        ("throne", 0, {}, "there is no program for throne; choose one of chair, "),
        ("chair", -1, {}, "seed must be at least 0, got -1"),
        ("chair", 0, {"wheels": 4}, "chair 0 has no wheels; it has style, "),
        ("chair", 0, {"style": "gothic"}, "style of chair must be one of wooden, .*, got gothic"),
        ("chair", 0, {"style": "wooden", "seat height": 3}, r"seat height of chair must lie in \[0.42, 0.48\], got 3"),
        ("chair", 0, {"style": "wooden", "arms": "yes"}, "arms of chair must be true or false, got yes"),
        ("sofa", 0, {"framed": False, "seats": "1"}, "seats of sofa must be one of 2, 3, 4, got 1"),
        ("stool", 0, {"style": "legs", "seat size": True}, "seat size of stool must lie in"),
        (
            "shelf",
            0,
            {"style": "cubes", "columns": 2.5},
            r"columns of shelf must be a whole number in \[1, 5\]",
        ),
    ],
)
def test_a_wrong_kind_seed_or_parameter_is_named(kind, seed, parameters, message):
    with pytest.raises(ValueError, match=message):
        build_furniture(kind, seed, parameters=parameters)


def test_kinds_are_chosen_by_their_weights():
    count = 4000
    chosen = [choose_kind(number) for number in range(count)]
    total = sum(kind.weight for kind in KINDS.values())
    for name, kind in KINDS.items():
        assert chosen.count(name) / count == pytest.approx(kind.weight / total, abs=0.03)
