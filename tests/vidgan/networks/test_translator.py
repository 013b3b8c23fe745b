"""ClipTranslator: shapes, what an untrained one does, what it keeps, and that clips of a batch are strangers."""

import pytest
import torch

from vidgan.networks.interpolation import interpolate_unknown
from vidgan.networks.translator import ClipTranslator, blur, enlarge, luminance
from vidgan.translation_config import PairShape, TranslatorConfig


def translator(*, trained: bool = True, shape: PairShape | None = None, **settings) -> ClipTranslator:
    torch.manual_seed(0)
    network = ClipTranslator(TranslatorConfig(base_channels=4, **settings), shape or PairShape()).eval()
    if trained:
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
    return network


def clips(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_an_untrained_translator_returns_the_source_enlarged(scale):
    source = clips(2, 3, 3, 10, 14)
    made = translator(trained=False, shape=PairShape(scale=scale))(source)
    assert torch.equal(made, enlarge(source, scale))


@pytest.mark.parametrize("propagation", ["both", "forward", "none"])
@pytest.mark.parametrize(("frames", "height", "width"), [(1, 5, 7), (2, 16, 16), (6, 13, 22)])
def test_clips_of_any_length_and_size_become_targets_of_the_same(propagation, frames, height, width):
    network = translator(shape=PairShape(scale=2), patch_size=3, propagation=propagation)
    assert network(clips(2, frames, 3, height, width)).shape == (2, frames, 3, 2 * height, 2 * width)


def test_a_clip_does_not_depend_on_the_others_of_its_batch():
    network, source = translator(), clips(3, 4, 3, 12, 12)
    other = source.clone()
    other[1] = 0.5
    assert torch.equal(network(source)[[0, 2]], network(other)[[0, 2]])
    assert torch.allclose(network(source)[:1], network(source[:1]), atol=1e-5)


def test_training_and_evaluation_compute_the_same():
    network, source = translator(), clips(1, 3, 3, 8, 8)
    assert torch.equal(network.train()(source), network.eval()(source))


def test_frames_that_come_one_by_one_do_not_depend_on_later_ones():
    network, source = translator(propagation="forward"), clips(1, 6, 3, 12, 12)
    cut = network(source[:, :3])
    assert torch.allclose(cut, network(source)[:, :3], atol=1e-5)
    both = translator(propagation="both")
    assert not torch.allclose(both(source[:, :3]), both(source)[:, :3], atol=1e-3)


def test_pictures_do_not_depend_on_one_another():
    network, source = translator(propagation="none"), clips(1, 4, 3, 12, 12)
    assert torch.allclose(network(source)[:, 2], network(source[:, 2:3])[:, 0], atol=1e-5)


def test_known_pixels_are_kept_to_the_bit_and_unknown_ones_are_not_looked_at():
    network = translator(shape=PairShape(masked=True))
    source, known = clips(1, 4, 3, 12, 12), torch.ones(1, 4, 1, 12, 12, dtype=torch.bool)
    known[:, 1:3, :, 4:9, 4:9] = False
    made, where = network(source, known), known.expand_as(source)
    assert torch.equal(made[where], source[where])
    assert not torch.equal(made, source)
    other = source.clone()
    other[~where] = 0.9
    assert torch.equal(network(other, known), made)


def test_unknown_pixels_begin_between_what_is_known_before_and_after():
    source = torch.linspace(-1, 1, 5).view(1, 5, 1, 1, 1).expand(1, 5, 3, 4, 4).clone()
    known = torch.ones(1, 5, 1, 4, 4, dtype=torch.bool)
    known[:, 1:4, :, :2] = False  # between
    known[:, 2:, :, 2, 0] = False  # only before
    known[:, :4, :, 2, 1] = False  # only after
    known[:, :, :, 2, 2] = False  # never
    spoilt = torch.where(known, source, 0.77)
    filled = interpolate_unknown(spoilt, known)
    assert torch.allclose(filled[..., :2, :], source[..., :2, :])
    assert filled[0, :, 0, 2, 0].tolist() == [-1, -0.5, -0.5, -0.5, -0.5]
    assert filled[0, :, 0, 2, 1].tolist() == [1, 1, 1, 1, 1]
    assert torch.equal(filled[..., 2, 2], spoilt[..., 2, 2])
    both, forward = (
        translator(trained=False, shape=PairShape(masked=True), propagation=way) for way in ("both", "forward")
    )
    made = both(spoilt, known)
    assert torch.allclose(made[..., :2, :], source[..., :2, :])
    assert torch.allclose(made[..., 2, 2], source[..., 2, 2], atol=0.5)  # from around it, as it was estimated there
    assert torch.allclose(forward(spoilt, known)[:, 1:4, :, :2], source[:, 1:4, :, :2])  # of their own frame alone


def test_luminance_is_that_of_the_source_if_only_colour_is_made():
    grey = clips(1, 3, 1, 12, 12).expand(-1, -1, 3, -1, -1)
    made = translator(keep_luminance=True)(grey)
    assert not torch.allclose(made, grey, atol=1e-2)
    assert torch.allclose(luminance(made), luminance(grey), atol=1e-5)
    assert float(luminance(torch.tensor([1.0, 0.0, 0.0]).view(3, 1, 1))) == pytest.approx(0.299)


def test_frames_made_from_scratch_lie_between_black_and_white():
    made = translator(output="frames")(10 * clips(1, 3, 3, 12, 12))
    assert made.abs().max() <= 1


def test_a_flat_clip_stays_flat_away_from_the_rim():
    made = translator()(torch.full((1, 3, 3, 128, 128), 0.3))[0, 1, :, 56:72:4, 56:72:4]
    assert (made - made[:, :1, :1]).abs().max() < 1e-5


def test_source_and_mask_are_left_as_they_are():
    network = translator(shape=PairShape(masked=True))
    source, known = clips(1, 3, 3, 8, 8), torch.rand(1, 3, 1, 8, 8) < 0.5
    before = source.clone(), known.clone()
    network(source, known)
    assert torch.equal(source, before[0])
    assert torch.equal(known, before[1])


def test_bytes_come_back_as_bytes_and_a_model_survives_saving(tmp_path):
    network = translator(shape=PairShape(degradations=("noise", "blur+jpeg")))
    frames = torch.randint(0, 256, (3, 3, 9, 11), dtype=torch.uint8)
    network.save_pretrained(tmp_path)
    loaded = ClipTranslator.from_pretrained(tmp_path)
    assert loaded.shape == network.shape
    assert torch.equal(loaded.translate(frames), network.translate(frames))
    assert network.translate(frames).dtype == torch.uint8


def test_other_channels_and_a_mask_that_was_never_learned_are_refused():
    with pytest.raises(ValueError, match="takes frames of 3 channels, got 1"):
        translator()(clips(1, 2, 1, 8, 8))
    with pytest.raises(ValueError, match="without a mask"):
        translator()(clips(1, 2, 3, 8, 8), torch.ones(1, 2, 1, 8, 8, dtype=torch.bool))
    with pytest.raises(ValueError, match="scale must be 1, 2 or 4"):
        PairShape(scale=3)


def test_blurring_keeps_flat_frames_and_the_mean_inside():
    flat = torch.full((1, 2, 3, 6, 6), 0.4)
    assert torch.allclose(blur(flat), flat)
    point = torch.zeros(1, 1, 1, 7, 7)
    point[..., 3, 3] = 1
    assert float(blur(point)[..., 3, 3]) == pytest.approx(0.25)
    assert float(blur(point).sum()) == pytest.approx(1)
