"""Generators of all presets: what depends on what, which sizes and lengths work, and what is kept on disk."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from support.tiny import SHAPE, clips, predictor, preset, small_generator, stirred, synthesiser
from torch.nn.utils import parametrize

from gancore.layers import iter_weight_layers
from vidgan.build import build_generator
from vidgan.config import ClipShape, VideoGeneratorConfig
from vidgan.networks.generator import FramePredictor, VideoGenerator

PRESETS = ("modern", "splat", "sprites", "paper", "trivd")
Z = 6


@pytest.fixture(autouse=True)
def _repeatable():
    torch.manual_seed(0)


# ------------------------------------------------------------------------------------ what depends on what


@torch.no_grad()
@pytest.mark.parametrize("changed", ["past", "latent"])
@pytest.mark.parametrize("name", PRESETS)
def test_a_future_depends_on_its_own_past_and_latent_alone(name, changed):
    model = predictor(name)
    given = {"past": clips(3)[:, :2], "latent": torch.randn(3, Z)}
    before = model(**given, steps=3)
    given[changed][0] = -given[changed][0]
    after = model(**given, steps=3)
    assert torch.equal(before[1:], after[1:])
    assert (before[0] - after[0]).abs().max() > 1e-4


@torch.no_grad()
@pytest.mark.parametrize("changed", ["latent", "labels"])
@pytest.mark.parametrize("name", PRESETS)
def test_a_generated_clip_depends_on_its_own_latent_and_label_alone(name, changed):
    model = synthesiser(name)
    given = {"latent": torch.randn(3, Z), "labels": torch.tensor([1, 0, 2])}
    before = model(**given)
    given[changed][0] = 2 * given[changed][0]
    after = model(**given)
    assert torch.equal(before[1:], after[1:])
    assert (before[0] - after[0]).abs().max() > 1e-4


@torch.no_grad()
@pytest.mark.parametrize("name", PRESETS)
def test_one_past_has_different_futures_for_different_noise_and_equal_ones_for_equal_noise(name):
    model, past, latent = predictor(name), clips(1)[:, :2].expand(2, -1, -1, -1, -1), torch.randn(2, Z)
    first, second = model(past, latent, steps=3)
    assert (first - second).abs().max() > 1e-3
    same, also = model(past, latent[:1].expand(2, -1), steps=3)
    assert torch.equal(same, first)
    torch.testing.assert_close(also, first, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", PRESETS)
def test_frames_come_one_by_one_as_they_are_predicted(name):
    model, frames = predictor(name), torch.randint(256, (2, SHAPE.channels, 18, 24), dtype=torch.uint8)
    together = model.predict(frames, 4, samples=2, seed=5)
    apart = torch.stack(list(model.stream(frames, 4, samples=2, seed=5)), 1)
    assert apart.shape == together.shape
    assert (apart.int() - together.int()).abs().max() <= 1
    with pytest.raises(ValueError, match="steps must be at least 1"):
        next(model.stream(frames, 0))


def test_the_first_frame_is_out_before_the_second_is_computed(monkeypatch):
    model, computed = predictor("splat"), []
    run_segment = type(model.decoder).run_segment

    def recorded(self, *inputs):
        computed.append(inputs[-2])
        return run_segment(self, *inputs)

    monkeypatch.setattr(type(model.decoder), "run_segment", recorded)
    frames = model.stream(torch.randint(256, (2, SHAPE.channels, 16, 16), dtype=torch.uint8), 3)
    assert computed == []
    next(frames)
    assert computed == [0]
    next(frames)
    assert computed == [0, 1]


@torch.no_grad()
def test_several_futures_of_one_past_stand_together_in_the_order_of_their_latents():
    model, past, latent = predictor("modern"), clips(2)[:, :2], torch.randn(6, Z)
    together = model(past, latent, steps=2)
    for number in range(6):
        alone = model(past[number // 3, None], latent[number, None], steps=2)[0]
        torch.testing.assert_close(together[number], alone, rtol=0, atol=5e-4)


@torch.no_grad()
@pytest.mark.parametrize("name", PRESETS)
def test_a_longer_horizon_begins_with_the_shorter_one(name):
    model, past, latent = predictor(name), clips(2)[:, :2], torch.randn(2, Z)
    longer = model(past, latent, steps=7)
    assert longer.shape[1] == 7
    for steps in (1, 3):
        torch.testing.assert_close(model(past, latent, steps=steps), longer[:, :steps], rtol=0, atol=1e-4)


# ------------------------------------------------------------------------------------------ shapes and ranges


@torch.no_grad()
@pytest.mark.parametrize("context", [1, 2, 4, 5, 10])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("name", PRESETS)
def test_predictors_take_any_number_of_channels_and_of_past_frames(name, channels, context):
    shape = ClipShape(channels=channels, height=16, width=8, context_frames=context, clip_frames=context + 2)
    past = clips(2, frames=context, channels=channels, height=16, width=8)
    assert predictor(name, shape)(past, torch.randn(2, Z), steps=2).shape == (2, 2, channels, 16, 8)


@torch.no_grad()
def test_the_modern_predictor_takes_fewer_or_more_past_frames_than_it_was_trained_with():
    model, latent = predictor("modern"), torch.randn(1, Z)
    futures = [model(clips(1, frames=9)[:, -context:], latent, steps=2) for context in (1, 2, 9)]
    assert all(future.shape == futures[0].shape for future in futures)
    assert (futures[1] - futures[2]).abs().max() > 1e-4


@torch.no_grad()
def test_the_paper_predictor_says_how_many_past_frames_it_needs_and_takes_the_last_of_more():
    model, latent, past = predictor("paper"), torch.randn(1, Z), clips(1)
    with pytest.raises(ValueError, match="needs 2 past frames, got 1"):
        model(past[:, :1], latent, steps=2)
    assert torch.equal(model(past, latent, steps=2), model(past[:, -2:], latent, steps=2))


@torch.no_grad()
@pytest.mark.parametrize(("height", "width"), [(13, 18), (5, 3), (24, 9)])
@pytest.mark.parametrize("name", PRESETS)
def test_frames_of_any_size_are_padded_by_their_edges_and_cropped_back(name, height, width):
    model, latent = predictor(name), torch.randn(2, Z)
    past = clips(2, height=height, width=width)[:, :2]
    stride = model.config.spatial_stride
    rows = torch.arange(-(-height // stride) * stride).clamp(max=height - 1)
    columns = torch.arange(-(-width // stride) * stride).clamp(max=width - 1)
    whole = model(past[..., rows, :][..., columns], latent, steps=3)
    futures = model(past, latent, steps=3)
    assert futures.shape == (2, 3, 1, height, width)
    assert torch.equal(futures, whole[..., :height, :width])


@torch.no_grad()
@pytest.mark.parametrize("name", PRESETS)
def test_clips_may_have_sizes_that_are_not_multiples_of_the_stride(name):
    config = replace(small_generator(name), output="frames")
    model = VideoGenerator(config, ClipShape(channels=3, height=18, width=13, context_frames=0, clip_frames=4)).eval()
    assert model(torch.randn(2, Z)).shape == (2, 4, 3, 18, 13)


@torch.no_grad()
@pytest.mark.parametrize("strength", [0.0, 0.3, 3.0])
@pytest.mark.parametrize("name", PRESETS)
def test_all_frames_lie_in_the_documented_range(name, strength):
    latent = 3 * torch.randn(2, Z)
    extreme = clips(2)[:, :2].sign()
    futures = [
        stirred(predictor(name), strength)(extreme, latent, steps=6),
        stirred(synthesiser(name), strength)(latent, torch.tensor([0, 2])),
    ]
    for frames in futures:
        assert frames.isfinite().all()
        assert frames.abs().max() <= 1 + 1e-6


@torch.no_grad()
def test_the_untrained_motion_output_repeats_the_last_frame():
    model, past = FramePredictor(small_generator("modern"), SHAPE).eval(), clips(2)[:, :2]
    futures = model(past, torch.randn(2, Z), steps=4)
    assert (futures - past[:, -1:]).abs().mean() < 0.02
    assert (futures - past[:, -1:]).abs().mean() < 0.2 * (past[:, 0] - past[:, 1]).abs().mean()


@torch.no_grad()
def test_composed_flows_move_the_last_frame_by_their_sum():
    model = predictor("modern")
    output = model.decoder.output
    output.flow.weight.zero_()
    output.flow.bias.copy_(torch.tensor([1.0, 0.0]).repeat(output.motion_layers))
    output.blend.weight.zero_()
    output.blend.bias.zero_()[
        output.motion_layers * output.patch_size**2 : (output.motion_layers + 1) * output.patch_size**2
    ] = -40.0
    past = clips(1, height=16, width=32)[:, :2]
    futures = model(past, torch.randn(1, Z), steps=3)
    for step in range(3):
        moved = past[:, -1, :, :, 2 * (step + 1) :]  # one position of the map is two pixels
        torch.testing.assert_close(futures[:, step, :, :, : moved.shape[-1]], moved, rtol=0, atol=1e-4)


# ---------------------------------------------------------------------------------------------- segments


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", PRESETS)
def test_segments_give_the_same_frames_gradients_and_statistics_as_all_at_once(name, training):
    past, latent, target = clips(2)[:, :2], torch.randn(2, Z), clips(2, frames=3, seed=1)
    results = []
    for segment in (None, 2):
        model = predictor(name, segment=segment).train(training)
        with parametrize.cached():
            frames = model(past, latent, steps=3)
            ((frames - target) ** 2).sum().backward()
        results.append((frames, {n: p.grad for n, p in model.named_parameters()}, dict(model.named_buffers())))
    (frames, gradients, buffers), (in_parts, gradients_in_parts, buffers_in_parts) = results
    torch.testing.assert_close(in_parts, frames, rtol=0, atol=1e-5)
    for parameter, gradient in gradients.items():
        assert gradient is not None, parameter
        torch.testing.assert_close(gradients_in_parts[parameter], gradient, rtol=1e-3, atol=1e-3, msg=parameter)
    for buffer, value in buffers.items():
        torch.testing.assert_close(buffers_in_parts[buffer], value, rtol=1e-4, atol=1e-5, msg=buffer)


@torch.no_grad()
@pytest.mark.parametrize("segment", [1, 2, 4])
@pytest.mark.parametrize("name", PRESETS)
def test_clips_generated_in_segments_equal_those_generated_at_once(name, segment):
    latent, labels = torch.randn(2, Z), torch.tensor([2, 0])
    whole, parts = synthesiser(name)(latent, labels), synthesiser(name, segment=segment)(latent, labels)
    torch.testing.assert_close(parts, whole, rtol=0, atol=1e-5)


# ---------------------------------------------------------------------------------------- prediction, files


@pytest.mark.parametrize("name", PRESETS)
def test_predict_takes_and_gives_bytes_of_the_clips_own_size(name):
    model = predictor(name)
    frames = ((clips(1, height=13, width=18)[0, :2] + 1) * 127.5).byte()
    futures = model.predict(frames, 6, samples=3, seed=5)
    assert futures.shape == (3, 6, 1, 13, 18)
    assert futures.dtype == torch.uint8
    assert not torch.equal(futures[0], futures[1])
    assert torch.equal(model.predict(frames, 6, samples=2, seed=5), futures[:2])
    assert not torch.equal(model.predict(frames, 6, samples=3, seed=6), futures)
    typical = model.predict(frames, 6, samples=2, seed=5, truncation=0.0)
    assert torch.equal(typical[0], typical[1])
    assert torch.equal(typical, model.predict(frames, 6, samples=2, seed=7, truncation=0.0))
    near = model.predict(frames, 6, samples=1, seed=5, truncation=1e-4)
    assert (near.int() - typical[:1].int()).abs().max() <= 1


@torch.no_grad()
@pytest.mark.parametrize("name", PRESETS)
def test_a_saved_predictor_comes_back_with_the_same_futures(name, tmp_path):
    model, past, latent = predictor(name), clips(2)[:, :2], torch.randn(2, Z)
    model.save_pretrained(tmp_path)
    random = torch.get_rng_state()
    loaded = FramePredictor.from_pretrained(tmp_path)
    assert torch.equal(torch.get_rng_state(), random), "no weights are drawn only to be overwritten"
    assert (loaded.config, loaded.shape) == (model.config, model.shape)
    torch.testing.assert_close(loaded(past, latent, steps=4), model(past, latent, steps=4), rtol=0, atol=1e-5)
    assert not any(parametrize.is_parametrized(layer) for layer in loaded.modules())


@torch.no_grad()
@pytest.mark.parametrize("name", PRESETS)
def test_a_saved_generator_comes_back_with_the_same_clips(name, tmp_path):
    model, latent, labels = synthesiser(name), torch.randn(2, Z), torch.tensor([2, 0])
    model.save_pretrained(tmp_path)
    loaded = VideoGenerator.from_pretrained(tmp_path)
    torch.testing.assert_close(loaded(latent, labels), model(latent, labels), rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match="VideoGenerator"):
        FramePredictor.from_pretrained(tmp_path)


# --------------------------------------------------------------------------------------------- mistakes of the user


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"channel_multipliers": (4,)}, "channel_multipliers needs"),
        ({"attention_after": 3, "channel_multipliers": (4, 4)}, "attention_after must"),
        ({"segment_steps": 0}, "segment_steps must"),
        ({"spectral_norm": True, "zero_init_residual": True}, "zero_init_residual:"),
        ({"spectral_norm": True, "zero_init_residual": False, "output": "sprites"}, "output:"),
    ],
)
def test_impossible_generators_are_refused_by_the_name_of_the_key(changes, complaint):
    with pytest.raises(ValueError, match=complaint):
        replace(VideoGeneratorConfig(), **changes)


def test_what_only_prediction_or_only_synthesis_has_is_refused_elsewhere():
    with pytest.raises(ValueError, match=r"generator\.output"):
        VideoGenerator(small_generator("modern"), replace(SHAPE, context_frames=0))
    with pytest.raises(ValueError, match=r"generator\.output"):
        VideoGenerator(small_generator("sprites"), replace(SHAPE, context_frames=0))
    with pytest.raises(ValueError, match=r"data\.context_frames"):
        FramePredictor(small_generator("modern"), replace(SHAPE, context_frames=0))


def test_a_wrong_number_of_channels_of_latents_or_a_missing_label_is_named():
    model = predictor("modern")
    with pytest.raises(ValueError, match="1 channels, got 3"):
        model(clips(1, channels=3)[:, :2], torch.randn(1, Z), steps=1)
    with pytest.raises(ValueError, match="steps must be at least 1"):
        model(clips(1)[:, :2], torch.randn(1, Z), steps=0)
    with pytest.raises(ValueError, match="3 latents for 2 pasts"):
        model(clips(2)[:, :2], torch.randn(3, Z), steps=1)
    with pytest.raises(ValueError, match="3 classes: give labels"):
        synthesiser("modern")(torch.randn(1, Z))


# ------------------------------------------------------------------------------------------------- the presets


@pytest.mark.parametrize("name", ["paper", "trivd"])
def test_spectral_norm_sits_on_every_weight_of_the_published_generators(name):
    config = replace(preset(name), generator=small_generator(name))
    for model in (build_generator(config), synthesiser(name)):
        layers = list(iter_weight_layers(model))
        assert len(layers) > 20
        assert all(parametrize.is_parametrized(layer, "weight") for layer in layers)
    assert not any(parametrize.is_parametrized(layer) for layer in predictor("modern").modules())


def test_the_paper_predictor_has_the_same_number_of_parameters_at_every_release():
    config = preset("paper")
    with torch.device("meta"):
        model = build_generator(replace(config, generator=replace(config.generator, spectral_norm=False)))
    counts = {name: sum(p.numel() for p in child.parameters()) for name, child in model.named_children()}
    assert counts == {"encoder": 208_164_864, "decoder": 297_936_165}


@torch.no_grad()
@pytest.mark.parametrize("level", [1, 2])
def test_attention_may_follow_any_level_and_matters_once_its_strength_is_learned(level):
    config = replace(small_generator("modern"), attention_after=level)
    model = stirred(FramePredictor(config, SHAPE))
    past, latent = clips(1)[:, :2], torch.randn(1, Z)
    attended = model(past, latent, steps=2)
    model.decoder.levels[level - 1].attention.strength.zero_()
    assert (attended - model(past, latent, steps=2)).abs().max() > 1e-5


@torch.no_grad()
@pytest.mark.parametrize("name", PRESETS)
def test_predictors_run_under_mixed_precision_and_stay_near_full_precision(name):
    model, past, latent = predictor(name), clips(2)[:, :2], torch.randn(2, Z)
    exact = model(past, latent, steps=3)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = model(past, latent, steps=3)
    assert F.l1_loss(mixed.float(), exact) < 0.05


@pytest.mark.parametrize("name", PRESETS)
def test_every_tensor_is_created_on_the_device_of_the_model(name):
    """The meta device refuses to work with tensors that were created on another."""
    past, latent = clips(2)[:, :2].to("meta"), torch.randn(2, Z, device="meta")
    futures = predictor(name).to("meta")(past, latent, steps=3)
    clip = synthesiser(name).to("meta")(latent, torch.zeros(2, dtype=torch.long, device="meta"))
    assert (futures.device.type, clip.device.type) == ("meta", "meta")
