"""Clips from styles: each frame by its own time alone, and the sizes of the published generators."""

import math

import pytest
import torch
from support.styles import CLIPS, MOTION, clip_generator
from torch._subclasses import FakeTensorMode

from gancore.benchmark import count_parameters
from gancore.metrics.equivariance import translation_equivariance
from gancore.rng import SampleRandom
from gancore.style_config import StyleConfig
from vidgan.config import ClipShape, VideoGeneratorConfig
from vidgan.networks.generator import VideoGenerator
from vidgan.networks.style import MotionCodes


def latents(model: VideoGenerator, count: int, *, steps: int | None = None) -> torch.Tensor:
    return model.draw_latents(SampleRandom(3), count, 1, steps=steps)[:, 0]


@torch.no_grad()
def test_any_frame_can_be_made_alone_and_is_that_of_the_clip():
    model = clip_generator()
    drawn = latents(model, 2)
    clip = model(drawn)
    assert clip.shape == (2, 6, 1, 20, 16)
    for time in range(6):
        alone = model(drawn, times=torch.full((2, 1), float(time)))
        torch.testing.assert_close(alone[:, 0], clip[:, time], rtol=1e-4, atol=1e-5)
    backwards = model(drawn, times=model.frame_times(2).flip(1))
    torch.testing.assert_close(backwards.flip(1), clip, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_longer_clip_begins_as_the_shorter_one():
    model = clip_generator()
    short, long = latents(model, 1), latents(model, 1, steps=19)
    assert torch.equal(long[:, : short.shape[1]], short)
    torch.testing.assert_close(model(long, steps=19)[:, :6], model(short), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_time_is_continuous_also_across_anchors():
    model = clip_generator()
    times = torch.linspace(0.0, 8.0, 801)[None]
    changes = model(latents(model, 1, steps=9), times=times).diff(dim=1).abs().amax((0, 2, 3, 4))
    at_anchors = changes[[399, 400, 799]]
    assert changes.max() < 0.05
    assert at_anchors.max() < 5 * changes.median()


@torch.no_grad()
def test_frames_move_and_contents_differ_and_each_by_its_own_part_of_the_latent():
    model = clip_generator()
    drawn = latents(model, 2)
    content = drawn[:, : CLIPS.latent_dim]
    other_motion = torch.cat([content[:1], drawn[1:, CLIPS.latent_dim :]], 1)
    ours, theirs, moved = model(drawn)[0], model(drawn)[1], model(other_motion)[0]
    assert (ours[0] - ours[-1]).abs().max() > 1e-3
    assert (ours - moved).abs().max() > 1e-3
    assert (ours - theirs).abs().mean() > (ours - moved).abs().mean()
    still = torch.cat([content, torch.zeros_like(drawn[:, CLIPS.latent_dim :])], 1)
    clip = model(still)  # nothing has a bias: without noise the code only has the waves that are the same for all
    torch.testing.assert_close(model.style.motion(torch.zeros(2, 5, 5), model.frame_times(2)).std(0).max().item(), 0.0)
    assert clip.isfinite().all()


@torch.no_grad()
def test_no_clip_depends_on_its_batch_and_training_mode_changes_nothing():
    model = clip_generator(classes=("a", "b"))
    drawn, labels = latents(model, 3), torch.tensor([0, 1, 1])
    kept, together = drawn.clone(), model(drawn, labels)
    torch.testing.assert_close(model(drawn[1:2], labels[1:2]), together[1:2], rtol=1e-4, atol=1e-5)
    assert torch.equal(model.train()(drawn, labels), together)
    assert torch.equal(drawn, kept)
    assert (model(drawn[:1], torch.tensor([1])) - together[:1]).abs().max() > 1e-3


def test_what_a_model_cannot_make_is_said():
    model = clip_generator(classes=("a", "b"))
    drawn, labels = latents(model, 1), torch.tensor([0])
    with pytest.raises(ValueError, match=r"times must lie in \[0, 12\)"):
        model(drawn, labels, steps=20)
    with pytest.raises(ValueError, match="give labels"):
        model(drawn)
    with pytest.raises(ValueError, match="truncation must be at least 0"):
        model(drawn, labels, truncation=-1.0)
    plain = VideoGenerator(
        VideoGeneratorConfig(output="frames", base_channels=4, channel_multipliers=(1, 1), latent_dim=2),
        ClipShape(context_frames=0, clip_frames=3),
    )
    with pytest.raises(ValueError, match="times and truncation are for style generators"):
        plain(torch.zeros(1, 2), times=torch.zeros(1, 1))


@torch.no_grad()
def test_truncation_pulls_contents_together_and_leaves_the_motion():
    model = clip_generator()
    drawn = latents(model, 16)
    model.style.mapping.track(model.map_latents(drawn)[:, 0])
    spread = [float(model(drawn, truncation=share)[:, 0].std(0).mean()) for share in (1.0, 0.5, 0.0)]
    assert spread[0] > spread[1] > spread[2] > 0
    torch.testing.assert_close(model(drawn, truncation=1.0), model(drawn), rtol=1e-4, atol=1e-5)


def test_a_code_equals_its_definition_between_two_anchors():
    torch.manual_seed(0)
    codes = MotionCodes(MOTION).double()
    noise = torch.randn(1, 5, 5, dtype=torch.float64)

    def convolve(weights: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
        return torch.stack(
            [
                torch.relu(y) - 0.2 * torch.relu(-y)
                for y in weights(torch.stack([torch.stack([x[k], x[k + 1]], 1).flatten() for k in range(len(x) - 1)]))
            ]
        ) * math.sqrt(2)

    u = convolve(codes.convs[1], convolve(codes.convs[0], noise[0]))
    rate = 1 + torch.tanh(codes.rates(u[1]))

    def waves(since: float) -> torch.Tensor:
        angle = codes.frequencies * rate * since + codes.phase_scales * codes.phases(u[1])
        return torch.cat([angle.sin(), angle.cos()])

    wanted = waves(3.0) - (0.25 * waves(0.0) + 0.75 * waves(4.0))
    wanted += 0.25 * codes.anchors(u[1]) + 0.75 * codes.anchors(u[2])
    torch.testing.assert_close(codes(noise, torch.tensor([[7.0]], dtype=torch.float64))[0, 0], wanted)
    periods = 2 * math.pi / codes.frequencies
    torch.testing.assert_close(periods, torch.tensor([32.0, 128**0.5, 4.0], dtype=torch.float64))


PUBLISHED_LAYERS = {
    4: (2_622_465,),
    8: (2_622_465,) * 2,
    16: (2_622_465,) * 2,
    32: (2_622_465,) * 2,
    64: (2_622_465,) * 2,
}
"""Parameters of the convolutions at each resolution, as training with NVlabs/stylegan2-ada-pytorch prints them, of its
1024-pixel settings, whose first resolutions are those of config-f at any size. The same in the tables of issue 182 of
that repository, and with the next two in issue 394 of open-mmlab/mmgeneration."""
PUBLISHED_FINE = {128: (1_442_561, 721_409), 256: (426_369, 213_249)}
PUBLISHED_OUTPUTS = {128: 132_099, 256: 66_051}
"""Parameters of the layer that adds to the picture; 264,195 at other resolutions."""
PUBLISHED_MAPPING, PUBLISHED_CONSTANT = 262_656, 8_192


def published_total(side: int, *, mapping_layers: int) -> int:
    """The parameters of the published generator, less one a convolution, the strength of the noise that ours lacks."""
    layers = {each: sizes for each, sizes in (PUBLISHED_LAYERS | PUBLISHED_FINE).items() if each <= side}
    convolutions = [size - 1 for sizes in layers.values() for size in sizes]
    outputs = [PUBLISHED_OUTPUTS.get(each, 264_195) for each in layers]
    return mapping_layers * PUBLISHED_MAPPING + PUBLISHED_CONSTANT + sum(convolutions) + sum(outputs)


def picture_generator(side: int, *, mapping_layers: int, largest: int = 32_768) -> VideoGenerator:
    """The generator of pictures with min(largest / side, 512) channels at each resolution; no memory is taken."""
    sides = [4 * 2**level for level in range(int(math.log2(side)) - 1)]
    config = VideoGeneratorConfig(
        kind="style",
        output="frames",
        base_channels=64,
        channel_multipliers=tuple(min(largest // each, 512) // 64 for each in sides),
        latent_dim=512,
        patch_size=1,
        style=StyleConfig(width=512, mapping_layers=mapping_layers),
    )
    with FakeTensorMode():
        return VideoGenerator(config, ClipShape(channels=3, height=side, width=side, context_frames=0, clip_frames=1))


@pytest.mark.parametrize(("side", "mapping_layers"), [(64, 8), (64, 2), (256, 8), (256, 2)])
def test_parameters_and_shapes_are_those_of_the_published_generators(side, mapping_layers):
    model = picture_generator(side, mapping_layers=mapping_layers)
    assert count_parameters(model) == published_total(side, mapping_layers=mapping_layers)
    assert model.style.synthesis.num_styles == 2 * (int(math.log2(side)) - 1)  # num_ws there
    with model.style.synthesis.start.fake_mode:
        assert model(torch.zeros(1, 512)).shape == (1, 1, 3, side, side)


def test_half_the_channels_at_fine_resolutions_as_the_automatic_settings_have_it():
    """Counted by hand for 64 pixels: min(16384 / side, 512) channels, so 256 at the last resolution."""
    last = (512 * 256 * 9 + 256 + 512 * 512 + 512) + (256 * 256 * 9 + 256 + 512 * 256 + 256)
    output = 256 * 3 + 3 + 512 * 256 + 256
    before = published_total(64, mapping_layers=2) - 2 * (2_622_465 - 1) - 264_195
    assert count_parameters(picture_generator(64, mapping_layers=2, largest=16_384)) == before + last + output


@torch.no_grad()
def test_the_synthesis_moves_with_its_smallest_map():
    model = clip_generator()
    synthesis = model.style.synthesis
    styles = model.map_latents(latents(model, 1))

    def paint(start: torch.Tensor) -> torch.Tensor:
        x, result = start, None
        for level, layers in enumerate(synthesis.layers):
            x = synthesis._enlarge(x) if level else x
            for layer in layers:
                x = layer(x, styles[:, 0])
            added = synthesis.outputs[level](x, styles[:, 0])
            result = added if result is None else synthesis._enlarge(result) + added
        return result

    start = torch.randn(1, 8 + model.style.motion.width, 32, 32)
    whole = translation_equivariance(paint, start, shifts=[4, 8])
    parts = translation_equivariance(paint, start, shifts=[1, 2, 3])
    assert whole > 100  # by whole positions of the smallest map, but for rounding
    assert 10 < parts < 60  # by parts of one: the ReLU folds frequencies over
