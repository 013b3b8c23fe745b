"""Pictures of every depth and orientation are read as they are meant, and limits hold before they are decoded."""

import os
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from gancore.errors import UnreadableError
from gancore.files.limits import ReadingLimits
from gancore.files.pictures import open_picture, to_rgba


def read(path) -> np.ndarray:
    with open_picture(path) as image:
        return np.asarray(to_rgba(image, path))


RAMP = np.arange(16, dtype=np.uint16).reshape(4, 4)


@pytest.mark.parametrize("name", ["ramp.png", "ramp.tiff", "ramp.jp2", "ramp.pgm"])
def test_grey_of_sixteen_bits_is_scaled_and_not_clipped(tmp_path, name):
    Image.fromarray(RAMP * 4369).save(tmp_path / name)
    grey = read(tmp_path / name)
    assert grey[..., 0].ravel().tolist() == [17 * level for level in range(16)]
    assert (grey[..., 3] == 255).all()


def test_a_tiff_that_counts_from_white_is_inverted(tmp_path):
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[262] = 0
    Image.fromarray(RAMP * 4369).save(tmp_path / "negative.tiff", tiffinfo=tags)
    with open_picture(tmp_path / "negative.tiff") as image:
        assert image.tag_v2[262] == 0
    assert read(tmp_path / "negative.tiff")[..., 0].ravel().tolist() == [255 - 17 * level for level in range(16)]


def write_png(path, depth: int, colour_type: int, rows: np.ndarray, extra: bytes = b"") -> None:
    """A PNG of any depth, which Pillow does not write; `rows` are bytes, a row each."""
    height = len(rows)
    width = rows.shape[1] * 8 // depth // {0: 1, 2: 3, 6: 4}[colour_type]

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    packed = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    )


def test_a_picture_that_states_millions_of_pages_costs_nothing(tmp_path):
    pages = struct.pack(">II", 2**24, 0)  # their numbers alone would take 128 MB
    stated = struct.pack(">I", 8) + b"acTL" + pages + struct.pack(">I", zlib.crc32(b"acTL" + pages))
    write_png(tmp_path / "many.png", 8, 0, np.zeros((4, 4), np.uint8), stated)
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableError, match="several pictures"):
            read(tmp_path / "many.png")
        assert tracemalloc.get_traced_memory()[1] < 1e7
    finally:
        tracemalloc.stop()


def test_colour_of_sixteen_bits_is_scaled(tmp_path):
    levels = (np.arange(48) * 1365).astype(">u2").reshape(4, 4, 3)
    write_png(tmp_path / "deep.png", 16, 2, levels.view(np.uint8).reshape(4, -1))
    assert np.abs(read(tmp_path / "deep.png")[..., :3] - levels / 257).max() <= 1


def test_a_transparent_level_of_sixteen_bits_is_kept(tmp_path):
    hidden = struct.pack(">I", 2) + b"tRNS" + (4369).to_bytes(2, "big")
    hidden += struct.pack(">I", zlib.crc32(hidden[4:]))
    write_png(tmp_path / "hole.png", 16, 0, (RAMP * 4369).astype(">u2").view(np.uint8).reshape(4, -1), hidden)
    assert (read(tmp_path / "hole.png")[..., 3] == 0).ravel().tolist() == [level == 1 for level in range(16)]


def test_floats_are_scaled_by_the_range_that_the_file_states_or_refused(tmp_path):
    levels = np.linspace(-1, 3, 64, dtype=np.float32).reshape(8, 8)
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[340], tags[341] = -1.0, 3.0
    tags.tagtype[340] = tags.tagtype[341] = 11
    Image.fromarray(levels).save(tmp_path / "stated.tiff", tiffinfo=tags)
    assert read(tmp_path / "stated.tiff")[..., 0].ravel().tolist() == np.linspace(0, 255, 64).round().tolist()
    Image.fromarray(levels).save(tmp_path / "plain.tiff")
    with pytest.raises(UnreadableError, match=r"plain.tiff has pixels of mode F, .* range it does not state"):
        read(tmp_path / "plain.tiff")
    for value in (np.nan, 3.5):
        Image.fromarray(np.where(levels < 0, np.float32(value), levels)).save(tmp_path / "out.tiff", tiffinfo=tags)
        with pytest.raises(UnreadableError, match="outside the range from -1 to 3"):
            read(tmp_path / "out.tiff")


def test_integers_of_32_bits_are_refused_by_their_mode(tmp_path):
    Image.fromarray(RAMP.astype(np.int32)).save(tmp_path / "wide.tiff")
    with pytest.raises(UnreadableError, match=r"wide\.tiff has pixels of mode I,"):
        read(tmp_path / "wide.tiff")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.png", "a.tiff", "a.webp", "deep.png", "a.jpg"])
def test_every_orientation_is_honoured(tmp_path, name, orientation):
    upright = np.kron(np.arange(1, 7).reshape(2, 3) * 40, np.ones((8, 8), int))
    turned = {1: 0, 3: 2, 6: 1, 8: 3, 2: 0, 4: 2, 5: 3, 7: 1}[orientation]  # quarters to the left
    stored = np.rot90(upright, turned)
    stored = stored[:, ::-1] if orientation in (2, 4, 5, 7) else stored
    pixels = (stored * 257).astype(np.uint16) if name == "deep.png" else stored.astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 100} if name == "a.jpg" else {"lossless": True} if name == "a.webp" else {}
    Image.fromarray(pixels).save(tmp_path / name, exif=exif, **options)
    assert np.abs(read(tmp_path / name)[..., 0].astype(int) - upright).max() <= 3


def test_a_picture_above_the_limit_is_refused_by_its_header_however_large(tmp_path):
    write_png(tmp_path / "huge.png", 8, 0, np.zeros((1, 0), np.uint8))
    content = bytearray((tmp_path / "huge.png").read_bytes())
    content[16:24] = struct.pack(">II", 30_000, 30_000)
    content[29:33] = struct.pack(">I", zlib.crc32(bytes(content[12:29])))
    (tmp_path / "huge.png").write_bytes(bytes(content))
    with pytest.raises(UnreadableError, match=r"huge.png has 900 megapixels .* max_megapixels lets it in"):
        read(tmp_path / "huge.png")
    limit = Image.MAX_IMAGE_PIXELS
    with open_picture(tmp_path / "huge.png", limits=ReadingLimits(max_megapixels=1000.0)) as image:
        assert image.size == (30_000, 30_000)
    assert limit == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.webp", "a.tiff"])
def test_a_file_of_several_pictures_is_refused(tmp_path, name):
    first, *others = (Image.new("L", (8, 8), level) for level in (0, 90, 180))
    first.save(tmp_path / name, save_all=True, append_images=others)
    with pytest.raises(UnreadableError, match="holds several pictures; save the one"):
        read(tmp_path / name)
    first.save(tmp_path / name)
    assert read(tmp_path / name).shape == (8, 8, 4)


def test_the_thumbnail_in_a_tiff_is_no_second_picture(tmp_path):
    with TiffImagePlugin.AppendingTiffWriter(str(tmp_path / "a.tiff"), True) as file:
        for level, tags in ((200, {}), (100, {254: 1})):
            Image.new("L", (8, 8), level).save(file, "TIFF", tiffinfo=tags)
            file.newFrame()
    assert (read(tmp_path / "a.tiff")[..., 0] == 200).all()


@pytest.mark.parametrize("kinds", [(0, 1, 0), (1, 0), (2, 2)])
def test_a_picture_behind_a_thumbnail_and_pages_of_a_document_count(tmp_path, kinds):
    with TiffImagePlugin.AppendingTiffWriter(str(tmp_path / "a.tiff"), True) as file:
        for kind in kinds:
            Image.new("L", (8, 8), 200).save(file, "TIFF", tiffinfo={254: kind})
            file.newFrame()
    with pytest.raises(UnreadableError, match="holds several pictures; save the one"):
        read(tmp_path / "a.tiff")


def test_only_regular_files_of_pictures_are_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(UnreadableError, match=r"pipe\.png is a pipe"):
        read(tmp_path / "pipe.png")
    (tmp_path / "a.png").mkdir()
    with pytest.raises(UnreadableError, match=r"a\.png is a folder"):
        read(tmp_path / "a.png")
    (tmp_path / "a.eps").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n")
    with pytest.raises(UnreadableError, match=r"cannot read .*a.eps as an image"):
        read(tmp_path / "a.eps")
