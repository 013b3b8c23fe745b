"""Every kind of picture becomes bytes by its depth, upright and on black, or is refused in one line."""

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from gancore.errors import UnreadableError
from gancore.files.limits import VideoLimits
from vidgan.files.pictures import read_picture
from vidgan.files.readers import DEFAULT_LIMITS


def read(path):
    return read_picture(path, path, DEFAULT_LIMITS)


def save(path, values, **options):
    Image.fromarray(values).save(path, **options)
    return path


RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.pgm"])
def test_grey_of_16_bits_is_scaled_by_its_depth(tmp_path, name):
    path = save(tmp_path / name, RAMP.astype(np.uint16) * 257)
    np.testing.assert_array_equal(read(path)[..., 1], RAMP)
    dark = save(tmp_path / name, np.linspace(0, 4095, 256).reshape(16, 16).astype(np.uint16))
    assert read(dark).max() == 16


def test_16_bits_whose_white_is_zero_are_turned_round(tmp_path):
    path = save(tmp_path / "a.tif", RAMP.astype(np.uint16) * 257, tiffinfo={262: 0})
    np.testing.assert_array_equal(read(path)[..., 0], 255 - RAMP)


def test_floats_lie_in_0_to_1_or_are_refused_with_their_mode_and_range(tmp_path):
    values = RAMP.astype(np.float32) / 255
    np.testing.assert_array_equal(read(save(tmp_path / "a.tif", values))[..., 2], RAMP)
    with pytest.raises(UnreadableError, match=r"b\.tif is a picture of mode F with values from 0 to 2; expected"):
        read(save(tmp_path / "b.tif", values * 2))
    values[0, 0] = np.nan
    with pytest.raises(UnreadableError, match="mode F with values from nan"):
        read(save(tmp_path / "c.tif", values))


@pytest.mark.parametrize("values", [RAMP.astype(np.int32), RAMP.astype(np.int32) * 10_000])
def test_integers_of_unknown_depth_are_refused(tmp_path, values):
    with pytest.raises(UnreadableError, match="a picture of mode I with values from 0 to"):
        read(save(tmp_path / "a.tif", values))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"])
def test_every_other_mode_is_converted(tmp_path, mode):
    image = Image.new("RGB", (16, 12), (255, 255, 255)).convert(mode)
    image.save(tmp_path / "a.tif")
    assert read(tmp_path / "a.tif").shape == (12, 16, 3)
    assert read(tmp_path / "a.tif").min() >= 254


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("name", "deep"), [("a.jpg", False), ("a.png", False), ("a.png", True), ("a.tif", True)])
def test_pictures_stand_as_their_orientation_says(tmp_path, orientation, name, deep):
    upright = np.zeros((16, 24), np.uint8)
    upright[:8, :8] = 240
    turned = {
        **{1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1]},
        **{5: upright.T, 6: np.rot90(upright), 7: upright[::-1, ::-1].T, 8: np.rot90(upright, -1)},
    }[orientation]
    exif = Image.Exif()
    exif[274] = orientation
    stored = np.ascontiguousarray(turned).astype(np.uint16) * 257 if deep else np.ascontiguousarray(turned)
    Image.fromarray(stored).save(tmp_path / name, exif=exif, quality=95)
    shown = read(tmp_path / name)
    assert shown.shape == (16, 24, 3)
    assert shown[2:6, 2:6].min() > 220
    assert shown[10:].max() < 20


def test_a_transparent_level_of_16_bits_is_black(tmp_path):
    path = save(tmp_path / "a.png", RAMP.astype(np.uint16) * 257, transparency=200 * 257)
    np.testing.assert_array_equal(read(path)[..., 0], np.where(RAMP == 200, 0, RAMP))


def test_a_picture_behind_its_preview_is_the_one_that_is_read(tmp_path):
    with TiffImagePlugin.AppendingTiffWriter(str(tmp_path / "a.tif"), True) as file:
        for side, level, kind in ((8, 100, 1), (16, 200, 0)):
            Image.new("L", (side, side), level).save(file, "TIFF", tiffinfo={254: kind})
            file.newFrame()
    shown = read(tmp_path / "a.tif")
    assert shown.shape == (16, 16, 3)
    assert (shown == 200).all()


def test_a_header_above_the_limit_is_refused_before_decoding(tmp_path):
    path = save(tmp_path / "a.png", RAMP)
    with pytest.raises(UnreadableError, match="max_megapixels lets it in"):
        read_picture(path, path, VideoLimits(max_megapixels=0.0002))


def test_a_picture_of_another_format_than_pictures_have_is_refused(tmp_path):
    (tmp_path / "a.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 16 16\n%%EndComments\nshowpage\n")
    with pytest.raises(UnreadableError, match=r"cannot read .*a\.png as a picture"):
        read(tmp_path / "a.png")
