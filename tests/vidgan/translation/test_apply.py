"""A film that is translated in windows and tiles becomes what it would become in one piece, without a seam."""

from fractions import Fraction

import pytest
import torch
from support.translators import moving_clip, translator
from torch import Tensor

from vidgan.files.readers import HeldClip
from vidgan.frames import convert_channels, to_float
from vidgan.networks.translator import ClipTranslator, luminance
from vidgan.translation.apply import HeldMask, enlarge_frames, translate_clip, translate_film
from vidgan.translation.windows import Windows, list_cuts, place_windows


def windows(
    frames: int, height: int, width: int, *, length: int = 99, overlap: int = 0, tiled: bool = False
) -> Windows:
    """Windows of this length, of whole frames or of the smallest tiles."""
    cuts = [list_cuts(side, 32, 4) for side in (height, width)]
    rows, columns = (each[-1] if tiled else each[0] for each in cuts)
    return Windows(place_windows(frames, length, overlap=overlap), rows, columns)


def joined(network: ClipTranslator, clip: Tensor, plan: Windows | None, known: Tensor | None = None) -> Tensor:
    """The whole result of a stream."""
    mask = None if known is None else HeldMask(known)
    return torch.cat([part.target for part in translate_film(network, HeldClip(clip), known=mask, windows=plan)])


def difference(first: Tensor, second: Tensor) -> Tensor:
    """The largest difference in each frame, in grey levels."""
    return (first.int() - second.int()).abs().flatten(1).amax(1)


def test_windows_that_are_long_enough_make_the_same_of_a_clip_as_one_piece():
    network, clip = translator(), moving_clip(70, 20, 28)
    whole = network.translate(clip)
    assert difference(whole, clip).float().mean() > 10  # it does something
    parts = joined(network, clip, windows(70, 20, 28, length=40, overlap=20))
    assert len(parts) == 70
    assert difference(whole, parts).max() <= 1


def test_no_jump_is_seen_from_one_window_to_the_next():
    """Windows that are too short to agree fade into each other; put side by side they would jump."""
    network, plan = translator(strength=0.06), windows(96, 16, 16, length=24, overlap=8)
    shared = {frame for start, _ in plan.spans[1:] for frame in range(start, start + 8)}
    at_borders = torch.tensor([frame in shared for frame in range(95)])

    moving = change_of(joined(network, moving_clip(96, 16, 16), plan))
    assert moving[at_borders].max() <= 1.01 * moving[~at_borders].max()
    assert moving[at_borders].mean() <= 1.01 * moving[~at_borders].mean()

    still = moving_clip(1, 16, 16).expand(96, -1, -1, -1)
    calm = change_of(joined(network, still, plan))
    apart = change_of(torch.cat([network.translate(still[start : start + 16]) for start in range(0, 96, 16)]))
    assert calm[at_borders].max() < 0.1
    assert apart[torch.arange(15, 95, 16)].min() > 0.8


def change_of(frames: Tensor) -> Tensor:
    """The mean change from each frame to the next, in grey levels."""
    return (frames[1:].float() - frames[:-1].float()).abs().mean((1, 2, 3))


def test_tiles_show_no_seam():
    network = translator(propagation="none", neighbours=0)  # what a tile sees of a frame is limited
    clip = moving_clip(3, 132, 260)
    plan = windows(3, 132, 260, tiled=True)
    assert (len(plan.rows), len(plan.columns)) == (2, 4)
    assert difference(network.translate(clip), joined(network, clip, plan)).max() <= 1


@pytest.mark.parametrize("scale", [2, 4])
def test_tiles_of_an_enlarged_film_show_no_seam(scale):
    network = translator(propagation="none", neighbours=0, scale=scale, patch_size=4)
    clip = moving_clip(2, 33, 130)
    cuts = [list_cuts(side, 32, 8) for side in (33, 130)]
    plan = Windows(((0, 2),), cuts[0][-1], cuts[1][-1])
    assert len(list(plan.tiles)) > 1
    whole = network.translate(clip)
    assert whole.shape == (2, 3, 33 * scale, 130 * scale)
    assert difference(whole, joined(network, clip, plan)).max() <= 1


@pytest.mark.parametrize("propagation", ["forward", "none"])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("tiled", [False, True])
def test_a_causal_translator_carries_on_to_the_same_result(propagation, masked, tiled):
    network = translator(propagation=propagation, masked=masked, neighbours=2)
    clip = moving_clip(23, 20, 132)
    known = torch.rand(23, 1, 20, 132, generator=torch.Generator().manual_seed(1)) > 0.2 if masked else None
    one_piece = joined(network, clip, windows(23, 20, 132, tiled=tiled), known)
    for length in (1, 5):
        parts = joined(network, clip, windows(23, 20, 132, length=length, tiled=tiled), known)
        assert difference(parts, one_piece).max() <= 1
    if not tiled:
        assert difference(one_piece, network.translate(clip, known)).max() <= 1


def test_a_translator_that_looks_ahead_cannot_carry_on():
    with pytest.raises(ValueError, match="looks ahead"):
        translator().carry_on(to_float(moving_clip(3, 8, 8))[None])


def test_a_causal_translator_gives_each_frame_before_it_reads_the_next():
    network, clip = translator(propagation="forward"), moving_clip(5, 8, 8)
    read: list[int] = []

    class Camera(HeldClip):
        def read(self, start: int, count: int, *, stride: int = 1) -> Tensor:
            read.append(start + count)
            return super().read(start, count, stride=stride)

    parts = translate_film(network, Camera(clip), windows=windows(5, 8, 8, length=1))
    for number in range(1, 6):
        assert len(next(parts).target) == 1
        assert max(read) == number


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (17, 31), (1, 40)])
@pytest.mark.parametrize("frames", [1, 2, 9])
def test_any_size_and_length_becomes_one_of_the_same(size, frames):
    clip = moving_clip(frames, *size)
    before = clip.clone()
    made = translate_clip(translator(), clip)
    assert made.shape == clip.shape
    assert made.dtype == torch.uint8
    assert torch.equal(clip, before)


def test_a_picture_is_a_film_of_one_frame():
    picture = moving_clip(1, 12, 18)
    network = translator(scale=2)
    assert torch.equal(translate_clip(network, picture), network.translate(picture))


def test_known_pixels_stay_and_the_mask_moves_with_the_windows():
    network, clip = translator(masked=True), moving_clip(40, 16, 16)
    known = torch.rand(40, 1, 16, 16, generator=torch.Generator().manual_seed(2)) > 0.3
    made = joined(network, clip, windows(40, 16, 16, length=12, overlap=4), known)
    kept = known.expand_as(clip)
    assert torch.equal(made[kept], clip[kept])
    hidden = torch.where(known, clip, torch.full_like(clip, 255))
    assert torch.equal(made, joined(network, hidden, windows(40, 16, 16, length=12, overlap=4), known))


# ------------------------------------------------------------------------------------------------------------ channels


def test_a_grey_film_becomes_rgb_for_a_translator_of_rgb():
    clip = moving_clip(4, 12, 12, channels=1)
    made = translate_clip(translator(), clip)
    assert torch.equal(made, translate_clip(translator(), clip.expand(-1, 3, -1, -1)))


def test_a_translator_of_grey_frames_changes_the_luminance_of_colours_alone():
    network = translator(channels=1)
    clip = (moving_clip(4, 12, 12) // 2 + 64).to(torch.uint8)  # nothing is clipped
    made = translate_clip(network, clip)
    assert made.shape == clip.shape
    wanted = network.translate(convert_channels(clip, 1))
    inside = ((made > 0) & (made < 255)).all(1)
    grey = (luminance(to_float(made)) + 1) * 127.5
    assert inside.float().mean() > 0.5
    assert (grey - wanted)[inside[:, None]].abs().max() <= 2
    chroma = made.float() - made.float().mean(1, keepdim=True)
    given = clip.float() - clip.float().mean(1, keepdim=True)
    assert (chroma - given)[inside[:, None].expand_as(clip)].abs().max() <= 2


def test_a_translator_that_makes_grey_frames_from_scratch_lends_no_colour():
    assert translate_clip(translator(channels=1, output="frames"), moving_clip(2, 8, 8)).shape[1] == 1


def test_one_that_learned_to_colour_does_not_look_at_colours():
    network = translator(degradations=("grey", "noise+grey"))
    clip = moving_clip(3, 12, 12)
    grey = convert_channels(clip, 1)
    assert torch.equal(translate_clip(network, clip), translate_clip(network, grey))
    assert not torch.equal(translate_clip(translator(), clip), translate_clip(translator(), grey))


@pytest.mark.parametrize(
    ("channels", "film", "complaint"),
    [(3, 4, "takes frames of 3 channels, which 4 cannot become"), (5, 3, "of 5 channels"), (1, 2, "of 1 channels")],
)
def test_channels_that_cannot_be_converted_are_one_line(channels, film, complaint):
    with pytest.raises(ValueError, match=complaint):
        translate_clip(translator(channels=channels), moving_clip(2, 8, 8, channels=film))


def test_a_mask_is_for_translators_that_know_masks_and_for_their_channels():
    known = torch.ones(2, 1, 8, 8, dtype=torch.bool)
    with pytest.raises(ValueError, match="trained without a mask"):
        translate_clip(translator(), moving_clip(2, 8, 8), known=known)
    with pytest.raises(ValueError, match="cannot know the colour"):
        translate_clip(translator(channels=1, masked=True), moving_clip(2, 8, 8), known=known)


# ------------------------------------------------------------------------------------------------------------ strength


@pytest.mark.parametrize("scale", [1, 2])
def test_strength_goes_from_the_enlarged_source_to_the_result(scale):
    network, clip = translator(scale=scale), moving_clip(3, 10, 10)
    made, source = translate_clip(network, clip), enlarge_frames(clip, scale)
    assert torch.equal(translate_clip(network, clip, strength=0.0), source)
    half = translate_clip(network, clip, strength=0.5)
    assert (half.float() - (made.float() + source.float()) / 2).abs().max() <= 1
    assert not torch.equal(made, source)


@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan")])
def test_a_strength_out_of_range_is_refused(strength):
    with pytest.raises(ValueError, match="strength must be in"):
        translate_clip(translator(), moving_clip(2, 8, 8), strength=strength)


def test_a_result_that_is_not_finite_is_no_black_frame():
    network = translator(base_channels=3)
    with torch.no_grad():
        network.head.bias.fill_(float("nan"))
    with pytest.raises(ValueError, match="not finite"):
        translate_clip(network, moving_clip(2, 8, 8))


def test_a_held_clip_is_read_as_a_film_is():
    clip = moving_clip(6, 4, 4)
    reader = HeldClip(clip, Fraction(12))
    assert (reader.frames, reader.channels, reader.rate) == (6, 3, 12)
    assert torch.equal(reader.read(1, 2, stride=2), clip[1:4:2])
    with pytest.raises(ValueError, match="too few for frame 7"):
        reader.read(5, 3)
