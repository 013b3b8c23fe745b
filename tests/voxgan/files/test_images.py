"""Images of every kind are read, cut out and framed; those without an object are refused in one line."""

import numpy as np
import pytest
import torch
from PIL import Image

from voxgan.files.images import (
    MAX_SIDE,
    cut_out_object,
    encode_views,
    frame_object,
    read_image,
    read_mask,
    segment_object,
)


def disc(size: int = 64, *, centre: tuple[int, int] = (40, 24), radius: int = 10) -> np.ndarray:
    """An image of an opaque red disc on a transparent background."""
    rows, columns = np.mgrid[:size, :size]
    inside = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 <= radius**2
    image = np.zeros((size, size, 4), np.uint8)
    image[inside] = (200, 30, 30, 255)
    return image


def over_background(background: tuple[int, int, int], image: np.ndarray) -> np.ndarray:
    """The image over a plain background, without alpha."""
    covered = image[..., 3:] > 0
    return np.where(covered, image[..., :3], np.array(background, np.uint8))


@pytest.mark.parametrize("ending", ["png", "webp", "tiff"])
def test_a_file_keeps_its_alpha(tmp_path, ending):
    path = tmp_path / f"disc.{ending}"
    Image.fromarray(disc()).save(path, **({"lossless": True} if ending == "webp" else {}))
    read = read_image(path)
    assert np.array_equal(read[..., 3], disc()[..., 3])
    assert np.array_equal(read[read[..., 3] > 0], disc()[disc()[..., 3] > 0])


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "I;16", "LA"])
def test_every_pixel_format_becomes_four_channels(tmp_path, mode):
    image = Image.fromarray(np.full((9, 12), 300, np.uint16)) if mode == "I;16" else Image.new(mode, (12, 9))
    image.save(tmp_path / "image.tiff")
    assert read_image(tmp_path / "image.tiff").shape == (9, 12, 4)


def test_the_exif_orientation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be rotated by a quarter to the right
    Image.new("RGB", (40, 20)).save(tmp_path / "rotated.jpg", exif=exif)
    assert read_image(tmp_path / "rotated.jpg").shape == (40, 20, 4)


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_a_large_image_is_scaled_down_when_it_is_read(tmp_path, ending):
    Image.new("RGB", (5000, 4000), (9, 9, 9)).save(tmp_path / f"large.{ending}")
    assert read_image(tmp_path / f"large.{ending}").shape == (MAX_SIDE * 4 // 5, MAX_SIDE, 4)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (7, 8)])
def test_an_image_of_very_few_pixels_is_refused(tmp_path, size):
    Image.new("RGB", size).save(tmp_path / "dot.png")
    with pytest.raises(ValueError, match=rf"dot.png has {size[0]}x{size[1]} pixels; at least 8x8"):
        read_image(tmp_path / "dot.png")


def test_a_file_that_is_not_an_image_is_refused_by_name(tmp_path):
    (tmp_path / "notes.png").write_text("not an image")
    with pytest.raises(ValueError, match=r"cannot read .*notes.png as an image"):
        read_image(tmp_path / "notes.png")
    with pytest.raises(FileNotFoundError, match="no such image"):
        read_image(tmp_path / "absent.png")
    whole = tmp_path / "whole.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(whole)
    (tmp_path / "half.png").write_bytes(whole.read_bytes()[:3000])
    with pytest.raises(ValueError, match=r"cannot read .*half.png as an image"):
        read_image(tmp_path / "half.png")
    with pytest.raises(ValueError, match="uint8 of shape"):
        read_image(np.zeros((64, 64, 3), np.float32))


def test_arrays_and_pillow_images_are_accepted():
    assert np.array_equal(read_image(disc()), disc())
    assert np.array_equal(read_image(Image.fromarray(disc())), disc())
    assert read_image(disc()[..., 0]).shape == read_image(disc()[..., :1]).shape == (64, 64, 4)


@pytest.mark.parametrize("background", [(255, 255, 255), (20, 90, 30), (0, 0, 0)])
def test_an_object_is_cut_out_by_its_difference_from_the_border(background):
    noise = np.random.default_rng(0).integers(-3, 4, (64, 64, 3))
    photo = (over_background(background, disc()).astype(int) + noise).clip(0, 255).astype(np.uint8)
    photo[2:4, 2:4] = (200, 30, 30)  # a speck that is not the object
    cut = cut_out_object(photo)
    assert (cut[..., 3] > 0)[disc()[..., 3] > 0].mean() > 0.97
    assert (cut[..., 3] > 0)[disc()[..., 3] == 0].mean() < 0.01


def test_holes_in_the_object_are_filled():
    photo = over_background((255, 255, 255), disc(radius=15))
    photo[38:42, 22:26] = 255
    assert cut_out_object(photo)[40, 24, 3] == 255


def test_a_mask_overrides_the_image_and_may_have_another_size():
    mask = np.zeros((128, 128), bool)
    mask[20:60, 20:60] = True
    cut = segment_object(read_image(over_background((255, 255, 255), disc())), mask)
    assert (cut[..., 3] > 0)[10:30, 10:30].all()
    assert (cut[..., 3] > 0).sum() == 400


def test_a_mask_is_a_black_and_white_image_or_one_with_alpha(tmp_path):
    Image.fromarray(disc()[..., 3]).save(tmp_path / "white.png")
    Image.fromarray(disc()).save(tmp_path / "alpha.png")
    for name in ("white.png", "alpha.png"):
        assert np.array_equal(read_mask(tmp_path / name), disc()[..., 3] > 0)


@pytest.mark.parametrize("pixels", [np.zeros((16, 16, 4), np.uint8), np.full((16, 16, 3), 90, np.uint8)])
def test_an_image_without_an_object_is_refused_by_name(tmp_path, pixels):
    Image.fromarray(pixels).save(tmp_path / "blank.png")
    with pytest.raises(ValueError, match=r"blank.png: the image shows no object"):
        cut_out_object(tmp_path / "blank.png")


def test_framing_centres_the_object_and_fills_the_window():
    window = frame_object(disc(centre=(12, 50)), 100)
    rows, columns = (np.flatnonzero((window[..., 3] > 127).any(axis)) for axis in (1, 0))
    for filled in (rows, columns):
        assert filled[0] + filled[-1] == pytest.approx(99, abs=4)
        assert filled[-1] - filled[0] + 1 == pytest.approx(88, abs=4)


def test_transparent_pixels_do_not_bleed_into_a_framed_image():
    image = disc()
    image[image[..., 3] == 0] = (0, 255, 0, 0)
    window = frame_object(image, 16)
    assert (window[window[..., 3] > 0][:, 1] < 60).all()


def test_framing_a_framed_image_hardly_changes_it():
    once = frame_object(disc(size=128, radius=40, centre=(64, 64)), 128)
    assert np.abs(frame_object(once, 128)[..., 3].astype(int) - once[..., 3]).mean() < 4


def test_encoded_views_lie_in_minus_1_to_1_over_the_background():
    views = encode_views([disc(), disc()], mask=True)
    assert views.shape == (2, 4, 64, 64)
    assert views.min() == -1
    assert views.max() == 1
    assert (views[:, :3, 0, 0] == 0).all()
    assert (views[:, 3, 0, 0] == -1).all()
    assert torch.allclose(views[0, :, 40, 24], torch.tensor([200 / 127.5 - 1, 30 / 127.5 - 1, 30 / 127.5 - 1, 1]))
    assert (encode_views([disc()], mask=False)[0, :, 0, 0] == 0).all()
    assert (encode_views([disc()], mask=False, background=1.0)[0, :, 0, 0] == 1).all()
