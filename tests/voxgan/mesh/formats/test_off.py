"""OFF files of every variant are read right."""

import numpy as np
import pytest

from gancore.errors import UnreadableError
from voxgan.mesh.read import load_mesh

POINTS = ["0 0 0", "1 0 0", "0 2 0", "0 0 3"]
FACES = ["3 0 2 1", "3 0 1 3", "3 0 3 2", "3 1 2 3"]


def file(header="OFF", extra="", faces=FACES, counts="4 4 6", suffix=""):
    return (
        "\n".join([header, counts, *[f"{point}{extra}" for point in POINTS], *[face + suffix for face in faces]]) + "\n"
    )


def load(folder, text):
    (folder / "m.off").write_bytes(text.encode())
    return load_mesh(folder / "m.off").mesh


@pytest.mark.parametrize(
    "text",
    [
        file(),
        file("# made by hand\nOFF # a comment\n\n"),
        file().replace("OFF\n", "OFF", 1),
        file().replace("OFF\n", "OFF ", 1),
        file("").lstrip(),
        file("COFF", " 255 0 0 255"),
        file("COFF", " 1.0 0 0 1"),
        file("NOFF", " 0 0 1"),
        file("CNOFF", " 0 0 1 0.5 0.5 0.5 1"),
        file("STOFF", " 0.5 0.5"),
        file("OFF", " 255 0 0"),
        file("4OFF", " 1"),
        file("4OFF", " 1").replace("1 0 0 1", "2 0 0 2").replace("0 0 3 1", "0 0 1.5 0.5"),
        file(suffix="  255 0 0"),
        file(suffix=" 7"),
        file(counts="4 4"),
        " ".join(file().split()),
        file().replace("\n", "\r\n"),
    ],
)
def test_every_variant_is_read(tmp_path, text):
    mesh = load(tmp_path, text)
    np.testing.assert_allclose(mesh.extents, (1, 2, 3))
    assert len(mesh.faces) == 4


@pytest.mark.parametrize(
    "text",
    [file("COFF", " 255 0 0 255"), file("COFF", " 1 0 0 1"), file(suffix=" 255 0 0"), file(suffix=" 1.0 0.0 0.0")],
)
def test_colours_are_read_in_either_range(tmp_path, text):
    assert (load(tmp_path, text).visual.face_colors[:, :3] == (255, 0, 0)).all()


def test_a_face_without_a_colour_among_others_is_a_warm_grey(tmp_path):
    text = file(faces=[FACES[0], *(face + " 255 0 0" for face in FACES[1:])])
    assert load(tmp_path, text).visual.face_colors[:, :3].tolist() == [[176, 168, 158], *[[255, 0, 0]] * 3]


def test_colours_that_are_not_numbers_are_named(tmp_path):
    (tmp_path / "m.off").write_text(file(suffix=" red 0 0"))
    missing = ("colours of faces cannot be read: 'red' is not a number of a colour",)
    assert load_mesh(tmp_path / "m.off").missing == missing


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (file("nOFF\n3"), "nOFF"),
        (file("OFF BINARY"), "binary OFF"),
        (file(counts="4 5 6"), "cut short"),
        (file(counts="4 900000 6"), "cut short"),
        (file(faces=["3 0 2 9", *FACES[1:]]), "refers to vertex 9"),
        (file(faces=["3 0 2 -1", *FACES[1:]]), "refers to vertex -1"),
        (file(faces=["9 0 2 1", *FACES[1:]]), "fewer corners than it states"),
        (" ".join(file(suffix=" 3").split()), "more numbers than it states"),
        (file(counts="-4 4 6"), "does not state how many"),
        (file(faces=[], counts="4 0 0"), "holds no faces: only points"),
        ("", "is empty"),
    ],
)
def test_a_file_that_is_not_right_is_refused_with_the_reason(tmp_path, text, reason):
    with pytest.raises(UnreadableError, match=reason):
        load(tmp_path, text)
