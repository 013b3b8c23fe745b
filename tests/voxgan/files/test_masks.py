"""Masks of every kind cover the object: black and white, 0 and 1, palettes, label maps, any depth."""

import numpy as np
import pytest
from PIL import Image, ImageFilter

from voxgan.files.images import cut_out_object, read_image
from voxgan.files.masks import has_outline, read_mask

INSIDE = np.zeros((24, 36), bool)
INSIDE[6:18, 9:30] = True


def save(path, pixels: np.ndarray, mode: str | None = None, **options) -> None:
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path, **options)


def palette(colours: dict[int, tuple[int, int, int]]) -> list[int]:
    return [channel for index in range(256) for channel in colours.get(index, (0, 0, 0))]


KINDS = {
    "black and white": INSIDE * np.uint8(255),
    "0 and 1": INSIDE.astype(np.uint8),
    "0 and 100": INSIDE * np.uint8(100),
    "0 and 1 in 16 bits": INSIDE.astype(np.uint16),
    "16 bits": INSIDE * np.uint16(65535),
    "12 bits in 16": INSIDE * np.uint16(4095),
    "one bit": INSIDE,
    "three labels": np.where(INSIDE, np.arange(36)[None] // 15 + 1, 0).astype(np.uint8),
    "bright and dim labels": np.where(INSIDE, np.where(np.arange(36)[None] < 18, 40, 240), 0).astype(np.uint8),
    "red on black": np.where(INSIDE[..., None], [128, 0, 0], 0).astype(np.uint8),
    "two colours on black": np.where(INSIDE[..., None] & (np.arange(36) < 18)[:, None], [0, 64, 0], 0).astype(np.uint8)
    + np.where(INSIDE[..., None] & (np.arange(36) >= 18)[:, None], [192, 128, 0], 0).astype(np.uint8),
    "alpha": np.where(INSIDE[..., None], [0, 0, 0, 255], [0, 0, 0, 0]).astype(np.uint8),
}


@pytest.mark.parametrize("ending", ["png", "tiff"])
@pytest.mark.parametrize("kind", KINDS)
def test_masks_of_every_kind_cover_the_object(tmp_path, kind, ending):
    save(tmp_path / f"mask.{ending}", KINDS[kind])
    assert np.array_equal(read_mask(tmp_path / f"mask.{ending}"), INSIDE)


@pytest.mark.parametrize("kind", ["black and white", "0 and 1", "0 and 1 in 16 bits", "16 bits", "one bit", "alpha"])
def test_arrays_and_pillow_images_are_masks_too(kind):
    assert np.array_equal(read_mask(KINDS[kind]), INSIDE)
    assert np.array_equal(read_mask(Image.fromarray(KINDS[kind])), INSIDE)
    if KINDS[kind].ndim == 2:
        assert np.array_equal(read_mask(KINDS[kind][..., None]), INSIDE)
        assert np.array_equal(read_mask(INSIDE.astype(np.int64) * 7 - (~INSIDE)), INSIDE)


@pytest.mark.parametrize("white", [False, True])
def test_a_palette_is_read_by_its_colours(tmp_path, white):
    image = Image.fromarray((white != INSIDE).astype(np.uint8), "P")
    image.putpalette(palette({0: (255, 255, 255), 1: (0, 0, 0)} if white else {15: (0, 64, 128), 1: (64, 0, 0)}))
    image.save(tmp_path / "mask.png")
    assert np.array_equal(read_mask(tmp_path / "mask.png"), INSIDE)


def test_an_ignored_border_around_a_label_does_not_replace_it(tmp_path):
    pixels = INSIDE.astype(np.uint8) * 255
    pixels[8:16, 11:28] = 15
    save(tmp_path / "grey.png", pixels)
    image = Image.fromarray(pixels, "P")
    image.putpalette(palette({15: (192, 128, 128), 255: (224, 224, 192)}))
    image.save(tmp_path / "colours.png")
    for name in ("grey.png", "colours.png"):
        assert np.array_equal(read_mask(tmp_path / name), INSIDE)


@pytest.mark.parametrize("name", ["blurred.png", "blurred.jpg", "blurred.webp"])
def test_a_soft_edge_is_cut_at_half(tmp_path, name):
    image = Image.fromarray(INSIDE * np.uint8(255)).resize((360, 240), Image.Resampling.BICUBIC)
    image.filter(ImageFilter.GaussianBlur(4)).save(tmp_path / name)
    expected = INSIDE.repeat(10, 0).repeat(10, 1)
    assert (read_mask(tmp_path / name) != expected).mean() < 0.01


def test_labels_without_a_background_are_refused(tmp_path):
    save(tmp_path / "picture.png", INSIDE * np.uint8(255))
    save(tmp_path / "trimap.png", np.where(INSIDE, 1, 2).astype(np.uint8))
    with pytest.raises(ValueError, match=r"trimap.png .*: the mask holds labels from 1 to 2, but no 0"):
        cut_out_object(tmp_path / "picture.png", tmp_path / "trimap.png")
    with pytest.raises(ValueError, match=r"integers .*, not float32"):
        read_mask(np.zeros((8, 8), np.float32))


def test_a_mask_of_another_size_is_scaled_and_one_of_another_aspect_names_both_files(tmp_path):
    picture = np.full((24, 36, 3), 90, np.uint8)
    save(tmp_path / "picture.png", picture)
    save(tmp_path / "large.png", (INSIDE * np.uint8(255)).repeat(3, 0).repeat(3, 1))
    assert np.array_equal(cut_out_object(tmp_path / "picture.png", tmp_path / "large.png")[..., 3] > 0, INSIDE)
    save(tmp_path / "tall.png", (INSIDE * np.uint8(255)).T)
    with pytest.raises(ValueError, match=r"tall.png does not fit .*picture.png: .* 0.667, and the image of 1.5"):
        cut_out_object(tmp_path / "picture.png", tmp_path / "tall.png")
    for height, width in ((24, 35), (13, 19), (12, 18), (71, 107)):  # rounded sizes
        save(tmp_path / "rounded.png", np.full((height, width), 255, np.uint8))
        assert cut_out_object(tmp_path / "picture.png", tmp_path / "rounded.png")[..., 3].all()


def test_a_mask_is_turned_as_its_orientation_says(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    save(tmp_path / "mask.png", np.rot90(INSIDE * np.uint8(255)), exif=exif)
    assert np.array_equal(read_mask(tmp_path / "mask.png"), INSIDE)
    save(tmp_path / "deep.png", np.rot90(INSIDE.astype(np.uint16)), exif=exif)
    assert np.array_equal(read_mask(tmp_path / "deep.png"), INSIDE)


def scene(side: int = 60) -> np.ndarray:
    """A red square in front of a plain wall."""
    pixels = np.full((side, side, 4), (200, 210, 220, 255), np.uint8)
    pixels[20:40, 25:45, :3] = (180, 20, 20)
    return pixels


def rim(pixels: np.ndarray) -> None:
    for edge in (pixels[:2], pixels[-2:], pixels[:, :1], pixels[:, -1:]):
        edge[:] = 0


def corners(pixels: np.ndarray) -> None:
    rows, columns = np.mgrid[:60, :60]
    pixels[np.minimum(rows, 59 - rows) + np.minimum(columns, 59 - columns) < 4] = 0


def stray(pixels: np.ndarray) -> None:
    pixels[[3, 30, 30, 55], [9, 30, 31, 50]] = 0


def haze(pixels: np.ndarray) -> None:
    pixels[..., 3] = 180


@pytest.mark.parametrize("spoil", [rim, corners, stray, haze])
def test_transparency_that_outlines_nothing_is_not_taken_for_the_object(tmp_path, caplog, spoil):
    pixels = scene()
    spoil(pixels)
    save(tmp_path / "picture.png", pixels)
    cut_out = cut_out_object(tmp_path / "picture.png")
    assert set(np.unique(cut_out[..., 3])) == {0, 255}
    assert np.array_equal(cut_out[..., 3] > 0, (scene()[..., 1] == 20))
    assert "picture.png: its transparent pixels outline no object" in caplog.text


def test_an_outline_is_one(tmp_path, caplog):
    rows, columns = np.mgrid[:100, :100]
    round_object = ((rows - 50) ** 2 + (columns - 50) ** 2 < 50**2) * np.uint8(255)
    crate = np.zeros((64, 64), np.uint8)
    crate[4:60, 4:60] = 255
    faint = np.where(round_object, 255, 3).astype(np.uint8)
    for alpha in (round_object, crate, faint, np.zeros((9, 9), np.uint8)):
        assert has_outline(alpha)
    save(tmp_path / "crate.png", np.dstack([crate, crate, crate, crate]))
    assert np.array_equal(read_image(tmp_path / "crate.png")[..., 3], crate)
    assert not caplog.text
