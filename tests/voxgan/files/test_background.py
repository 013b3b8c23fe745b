"""Pictures whose object cannot be told from the background ask for a mask; pictures of one object do not."""

import numpy as np
import pytest
import skimage.data
from PIL import Image
from scipy import ndimage

from voxgan.data.packed import open_packed_dataset
from voxgan.files.images import cut_out_object

RANDOM = np.random.default_rng(0)


def texture(roughness: float, side: int = 256) -> np.ndarray:
    """A random texture, from white noise (0) to clouds (2)."""
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side)))
    frequency[0, 0] = 1
    fields = np.stack([np.fft.fft2(RANDOM.normal(size=(side, side))) / frequency**roughness for _ in range(3)], 2)
    pixels = np.fft.ifft2(fields, axes=(0, 1)).real
    low, high = pixels.min((0, 1)), pixels.max((0, 1))
    return ((pixels - low) / (high - low) * 255).astype(np.uint8)


def stripes() -> np.ndarray:
    return np.tile(np.repeat(np.uint8([20, 220]), (14, 10)), (200, 10))[..., None].repeat(3, 2)


PHOTOGRAPHS = {name: getattr(skimage.data, name) for name in ("astronaut", "coffee", "chelsea", "grass", "rocket")}
PICTURES = {"stripes": stripes, **{f"texture {rough}": lambda rough=rough: texture(rough) for rough in (0, 0.5, 1, 2)}}


@pytest.mark.parametrize("name", [*PHOTOGRAPHS, *PICTURES])
def test_a_texture_or_a_photograph_of_a_whole_scene_asks_for_a_mask(name):
    pixels = (PHOTOGRAPHS | PICTURES)[name]()
    with pytest.raises(ValueError, match=r"^the image: the object cannot be separated from the background; .*--masks"):
        cut_out_object(pixels)
    mask = np.zeros(pixels.shape[:2], np.uint8)
    mask[20:60, 20:60] = 255
    assert cut_out_object(pixels, mask)[..., 3].any()


@pytest.mark.parametrize("background", [(255, 255, 255), (190, 180, 160), (30, 60, 40)])
def test_an_object_in_front_of_a_plain_wall_does_not(background, tmp_path):
    dataset = open_packed_dataset("furniture")
    accepted = 0
    for index in range(0, len(dataset), 60):
        view = Image.fromarray(dataset.read_view(index, 0)).resize((256, 256), Image.Resampling.BICUBIC)
        wall = Image.new("RGBA", view.size, (*background, 255))
        photograph = np.array(Image.alpha_composite(wall, view).convert("RGB")).astype(int)
        photograph += RANDOM.integers(-4, 5, photograph.shape)
        Image.fromarray(photograph.clip(0, 255).astype(np.uint8)).save(tmp_path / "photograph.jpg", quality=85)
        try:
            cut_out_object(tmp_path / "photograph.jpg")
            accepted += 1
        except ValueError:
            continue
    assert accepted >= 12  # of 13; a flat road marking has next to no outline to go by


def test_an_object_may_cast_a_shadow_and_be_cut_by_the_border():
    pixels = np.full((120, 120, 3), 230.0)
    shadow = np.zeros((120, 120))
    shadow[70:, 50:110] = 1
    pixels *= 1 - 0.4 * ndimage.gaussian_filter(shadow, 6)[..., None]
    pixels[40:, 30:80] = (150, 60, 30)
    cut_out = cut_out_object(pixels.astype(np.uint8))[..., 3] > 0
    assert cut_out[40:, 30:80].all()
    assert cut_out.mean() < 0.5


def test_a_border_of_two_colours_in_equal_parts_shows_no_object():
    pixels = np.tile(np.repeat(np.uint8([20, 220]), 10), (200, 10))[..., None].repeat(3, 2)
    with pytest.raises(ValueError, match="shows no object"):
        cut_out_object(pixels)
