"""Defects found in other packages for the same task, each with a test that would fail here if we shared it.

The packages are a public DVD-GAN, a public DGMR and a toolkit for video prediction, one per section.
"""

import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from accelerate.state import AcceleratorState
from einops import repeat
from support.tiny import (
    Patterns,
    batch_of,
    clips,
    discriminator,
    game,
    predictor,
    preset,
    small_generator,
    step_context,
    stirred,
    synthesiser,
)
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import parametrize

from gancore.config import PenaltyConfig
from gancore.parsing import parse_config
from gancore.rng import SampleRandom, derive_seed
from vidgan.build import build_generator
from vidgan.config import ClipShape, VideoConfig, VideoObjectiveConfig
from vidgan.data.batch import ClipBatch
from vidgan.data_config import VideoDataConfig
from vidgan.frames import to_float, to_uint8
from vidgan.networks.generator import FramePredictor, VideoGenerator
from vidgan.networks.norms import ConditionalNorm, TimestepBatchNorm
from vidgan.networks.recurrent import ConvGRU
from vidgan.objective import VideoObjective, sample_futures
from vidgan.validation import VideoEvaluation

PRESETS = ("modern", "paper", "trivd")
Z = 6


@pytest.fixture(autouse=True)
def _another_accelerator():
    """Accelerate keeps one state per process; these tests need states of different precisions."""
    torch.manual_seed(0)
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


# --------------------------------------------------------------------- a public DVD-GAN (Harrypotterrrr/DVD-GAN)


@torch.no_grad()
@pytest.mark.parametrize("name", PRESETS)
def test_conditions_are_never_mixed_between_the_clips_of_a_batch(name):
    """There, features were flattened sample by sample and conditions frame by frame."""
    generator = synthesiser(name)
    latent, labels = torch.randn(3, Z), torch.tensor([0, 1, 2])
    before = generator(latent, labels)
    changed, other = latent.clone(), labels.clone()
    changed[0], other[0] = -latent[0], 2
    for after in (generator(changed, labels), generator(latent, other)):
        assert torch.equal(before[1:], after[1:])
        assert not torch.equal(before[0], after[0])
    model, past = predictor(name), clips(3)[:, :2]
    moved = torch.cat([-past[:1], past[1:]])
    assert torch.equal(model(past, latent, steps=3)[1:], model(moved, latent, steps=3)[1:])


@torch.no_grad()
@pytest.mark.parametrize("spectral_norm", [False, True])
def test_conditional_norms_start_as_plain_norms_with_uncorrelated_gain_and_offset(spectral_norm):
    """There, gain and offset correlated by 0.9994 with a standard deviation of 12."""
    config = replace(
        preset("paper"), generator=replace(preset("paper").generator, base_channels=8, channel_multipliers=(8, 4))
    )
    config = replace(config, generator=replace(config.generator, spectral_norm=spectral_norm))
    norms = [module for module in build_generator(config).eval().modules() if isinstance(module, ConditionalNorm)]
    assert len(norms) > 4
    for norm in norms:
        condition = torch.randn(400, config.generator.latent_dim)
        channels = norm.affine.out_features // 2
        offset = norm(torch.zeros(400, channels, 1, 1), condition).flatten()
        gain = norm(torch.ones(400, channels, 1, 1), condition).flatten() - offset
        assert (gain.mean() - 1).abs() < 0.02
        assert offset.mean().abs() < 0.02
        assert gain.std() < 0.3
        assert offset.std() < 0.3
        assert torch.corrcoef(torch.stack([gain, offset]))[0, 1].abs() < 0.1


def test_a_conditional_norm_with_gain_1_and_offset_0_is_batch_norm_of_each_timestep():
    norm = ConditionalNorm(4, 3, timesteps=5)
    nn.init.zeros_(norm.strength)
    x = torch.randn(6 * 5, 4, 3, 3) + torch.arange(5.0).repeat(6).view(-1, 1, 1, 1)
    normalised = norm(x, torch.randn(6, 3)).view(6, 5, 4, 3, 3)
    for time, frames in enumerate(x.view(6, 5, 4, 3, 3).unbind(1)):
        expected = nn.functional.batch_norm(frames, None, None, training=True)
        torch.testing.assert_close(normalised[:, time], expected, rtol=1e-4, atol=1e-5)


def test_a_level_has_one_relu_gru_with_spectral_norm_on_its_gates_and_the_size_it_should_have():
    """There, three stacked tanh GRUs a level without spectral norm made 137 M parameters at a base width of 32."""
    config = preset("paper")
    small = replace(config, generator=replace(config.generator, base_channels=2))
    for level in build_generator(small).decoder.levels:
        units = [module for module in level.modules() if isinstance(module, ConvGRU)]
        assert len(units) == 1
        assert units[0].activation is torch.relu
        assert all(parametrize.is_parametrized(gate, "weight") for gate in units[0].gates.values())
        assert {gate.kernel_size for gate in units[0].gates.values()} == {(3, 3)}
    with torch.device("meta"):
        shape = ClipShape(channels=config.data.channels, context_frames=0, clip_frames=24, classes=("all",))
        model = VideoGenerator(replace(config.generator, base_channels=32), shape)
    assert sum(parameter.numel() for parameter in model.parameters()) == 20_939_229


def test_the_penalty_that_is_configured_is_in_the_loss():
    """There, the default loss was WGAN-GP with its penalty commented out."""
    losses = []
    for penalties in (
        PenaltyConfig(),
        PenaltyConfig(gradient_penalty=10.0),
        PenaltyConfig(r1=1.0),
        PenaltyConfig(r2=1.0),
    ):
        objective = VideoObjective(VideoObjectiveConfig(loss="wasserstein", penalties=penalties))
        model, judge = predictor("modern").requires_grad_(False), discriminator("modern")
        sum(objective.discriminator_terms(model, judge, batch_of(3), step_context(0)).values()).backward()
        losses.append(torch.cat([parameter.grad.flatten() for parameter in judge.parameters()]))
    assert all((losses[0] - other).norm() > 1e-3 * losses[0].norm() for other in losses[1:])


def test_settings_have_one_source_of_defaults_which_the_optimizers_obey(tmp_path):
    """There, two presets of learning rates contradicted each other, and the updates were one to one."""
    assert parse_config(VideoConfig, []) == VideoConfig()
    data = VideoDataConfig(height=16, width=16, clip_frames=5, context_frames=2, channels=1)
    options = {"generator_lr": 3e-4, "discriminator_lr": 7e-4, "warmup_steps": 0, "discriminator_steps": 2}
    trainer = game("modern", tmp_path, data=data, **options)
    updates = []
    apply_update = trainer.apply_update
    trainer.apply_update = lambda update, player, batches, *, number=0: (
        updates.append((update.name, number)) or apply_update(update, player, batches, number=number)
    )
    trainer.train_step(iter(trainer._create_loader()))
    assert updates == [("discriminator", 0), ("discriminator", 1), ("generator", 0)]
    players = trainer.generator_player, trainer.discriminator_player
    assert [player.optimizer.param_groups[0]["lr"] for player in players] == pytest.approx([3e-4, 7e-4])


def test_more_frames_to_score_than_a_clip_has_are_refused_before_any_data_is_read():
    """There, the default of 64 frames exceeded the clip's 24."""
    with pytest.raises(ValueError, match=r"discriminator\.spatial_frames is 64, but a clip has only 24 frames"):
        replace(
            preset("modern"),
            data=VideoDataConfig(clip_frames=24, context_frames=0),
            generator=replace(preset("modern").generator, output="frames"),
            discriminator=replace(preset("modern").discriminator, spatial_frames=64),
            objective=replace(preset("modern").objective, reconstruction_weight=0.0),
        )
    with pytest.raises(ValueError, match=r"discriminator\.spatial_frames is 6"):
        discriminator("paper", frames=6).draw_selection(SampleRandom(0), 2, clip_frames=5, context_frames=2)


@torch.no_grad()
@pytest.mark.parametrize("name", PRESETS)
def test_looking_at_a_model_in_eval_changes_nothing_in_it(name):
    """There, the power iteration of spectral norm went on in eval."""
    model, judge = predictor(name), discriminator(name)
    for network in (model, judge):
        before = {key: value.clone() for key, value in network.state_dict().items()}
        for _ in range(2):
            batch = torch.cat([clips(2)[:, :2], model(clips(2)[:, :2], torch.randn(2, Z), steps=3)], 1)
            judge(batch, judge.draw_selection(SampleRandom(0), 2, clip_frames=5, context_frames=2))
        assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


@pytest.mark.parametrize(
    "data",
    [
        VideoDataConfig(height=16, width=16, clip_frames=5, context_frames=2, channels=1),
        VideoDataConfig(height=24, width=16, clip_frames=4, context_frames=0, channels=3),
        VideoDataConfig(height=13, width=18, clip_frames=7, context_frames=4, channels=2),
    ],
    ids=["prediction", "synthesis", "odd"],
)
@pytest.mark.parametrize("name", ["modern", "paper"])
def test_training_and_sampling_run_on_a_cpu_at_any_size_and_length(name, data, tmp_path):
    """There, CUDA was hard-coded, labels stayed on the CPU, and size and length were fixed."""
    trainer = game(name, tmp_path, data=data)
    start = [parameter.clone() for parameter in trainer.generator.parameters()]
    assert trainer.train()
    assert any(not torch.equal(a, b) for a, b in zip(start, trainer.generator.parameters(), strict=True))
    assert (tmp_path / "samples" / "step-00000002.mp4").is_file()
    if data.context_frames:
        model = FramePredictor.from_pretrained(tmp_path / "generator")
        past = trainer.dataset.clips[0, : data.context_frames]
        assert model.predict(past, 9, samples=2).shape == (2, 9, data.channels, data.height, data.width)
    else:
        model = VideoGenerator.from_pretrained(tmp_path / "generator")
        generated = model(torch.randn(2, Z), torch.tensor([0, 1]), steps=6)
        assert generated.shape == (2, 6, data.channels, data.height, data.width)


def test_a_data_set_that_raises_stops_the_training_with_its_own_error(tmp_path):
    """There, a bare `except` around the iterator swallowed it."""
    data = VideoDataConfig(height=16, width=16, clip_frames=5, context_frames=2, channels=1)
    with pytest.raises(KeyError, match="a disk that is gone"):
        game("modern", tmp_path, data=data, broken=True).train()


# --------------------------------------------------------------------------- a public DGMR (dgmr 1.4.4 on PyPI)


@pytest.mark.parametrize(("frames", "height", "width"), [(5, 16, 16), (11, 24, 8), (3, 64, 48)])
@pytest.mark.parametrize(("distance", "cost"), [("l1", 20 * 0.01), ("l2", 20 * 0.01**2)])
def test_the_regulariser_of_a_constant_error_does_not_grow_with_the_clip(distance, cost, frames, height, width):
    """There, a missing pair of parentheses gave 64,442,052 instead of at most 0.24."""
    model = predictor("modern", ClipShape(channels=1, context_frames=2, clip_frames=20))
    past, steps = torch.rand(1, 2, 1, height, width), frames - 2
    config = VideoObjectiveConfig(
        reconstruction_weight=20.0, reconstruction_distance=distance, reconstruction_samples=1, adversarial_weight=0.0
    )
    with torch.no_grad():
        latent = SampleRandom(0).normal(1, 1, Z)[:, 0]
        true = model(past, latent, steps=steps) - 0.01
    batch = ClipBatch(torch.cat([past, true], 1), torch.zeros(1, dtype=torch.long), 2)
    terms = VideoObjective(config).generator_terms(model, discriminator("modern"), batch, step_context())
    assert terms["reconstruction"].item() == pytest.approx(cost, rel=1e-3)


def test_the_regulariser_weighs_dark_and_bright_pixels_alike_and_never_beyond_its_weight():
    """There, the weight of a pixel was at least 24, and 101 for a bright one."""
    model, costs = predictor("modern"), []
    for value in (-1.0, 0.0, 1.0):
        batch = ClipBatch(torch.full((1, 5, 1, 16, 16), value), torch.zeros(1, dtype=torch.long), 2)
        with torch.no_grad():
            error = (model(batch.past, SampleRandom(0).normal(1, 1, Z)[:, 0], steps=3) - batch.future).abs().mean()
        config = VideoObjectiveConfig(
            reconstruction_weight=3.0, reconstruction_distance="l1", reconstruction_samples=1, adversarial_weight=0.0
        )
        terms = VideoObjective(config).generator_terms(model, discriminator("modern"), batch, step_context())
        costs.append((terms["reconstruction"] / error).item())
    assert costs == pytest.approx([3.0, 3.0, 3.0], rel=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("name", PRESETS)
def test_the_same_context_twice_in_a_batch_gets_different_futures(name):
    """There, one latent served the whole batch, so both forecasts were equal to the bit."""
    model, one = predictor(name), batch_of(1)
    twice = ClipBatch(one.frames.expand(2, -1, -1, -1, -1), torch.zeros(2, dtype=torch.long), 2)
    futures = sample_futures(model, twice, SampleRandom(0), samples=2).flatten(0, 1)
    differences = [(futures[a] - futures[b]).abs().max() for a in range(4) for b in range(a)]
    assert min(differences) > 1e-3
    torch.testing.assert_close(
        sample_futures(model, twice, SampleRandom(0), samples=2).flatten(0, 1), futures, rtol=0, atol=0
    )


def test_importing_and_constructing_leave_every_switch_of_torch_as_it_was():
    """There, the constructor turned anomaly detection on for the whole process."""
    program = """
import torch
def switches():
    return (
        torch.is_anomaly_enabled(), torch.is_grad_enabled(), torch.get_default_dtype(), torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(), torch.get_float32_matmul_precision(),
        torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic, torch.backends.cudnn.allow_tf32,
        torch.backends.cuda.matmul.allow_tf32, torch.backends.mkldnn.enabled, torch.is_autocast_enabled("cpu"),
        torch.get_default_device(), torch.initial_seed(),
    )
before = switches()
from vidgan.build import build_discriminator, build_generator
from vidgan.config import VideoConfig
import vidgan.evaluation.evaluate, vidgan.predict, vidgan.validation, gancore.training.trainer
build_generator(VideoConfig()), build_discriminator(VideoConfig())
assert switches() == before, (before, switches())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@torch.no_grad()
@pytest.mark.parametrize("name", PRESETS)
def test_any_channels_context_latent_and_size_work_together(name):
    """There, 3 channels, 5 context frames, latents below 256 and all but square multiples of 32 failed."""
    for channels, context, latent, height, width in [
        (1, 4, 1, 32, 32),
        (3, 5, 384, 24, 40),
        (4, 1, 120, 13, 7),
        (3, 10, 8, 9, 33),
        (1, 2, 6, 40, 8),
    ]:
        config = replace(small_generator(name), latent_dim=latent)
        shape = ClipShape(
            channels=channels, height=height, width=width, context_frames=context, clip_frames=context + 2
        )
        past = clips(2, frames=context, channels=channels, height=height, width=width)
        future = FramePredictor(config, shape).eval()(past, torch.randn(2, latent), steps=2)
        assert future.shape == (2, 2, channels, height, width)
    with pytest.raises(ValueError, match="1 channels, got 3"):
        predictor(name)(clips(1, channels=3)[:, :2], torch.randn(1, Z), steps=1)


def test_discriminators_crop_draw_without_replacement_and_have_no_batch_norm():
    """There, the clip was pooled instead of cropped, frames were drawn with replacement, from the context too, and the
    same for all samples, and batch norm tied the samples together."""
    judge = discriminator("trivd", frames=3)
    selection = judge.draw_selection(SampleRandom(0), 100, clip_frames=10, context_frames=4)
    assert all(len(set(chosen)) == 3 and min(chosen) >= 4 for chosen in selection.frame_indices.tolist())
    assert len({tuple(chosen) for chosen in selection.frame_indices.tolist()}) > 50
    clip = torch.rand(1, 10, 1, 16, 16)
    crop = judge.select_inputs(clip.expand(100, -1, -1, -1, -1), selection).temporal
    assert crop.shape[-2:] == (8, 8)
    assert torch.isin(crop, clip).all(), "pixels are taken as they are, not averaged"
    moving = repeat(torch.rand(100, 1, 1, 16, 16), "b 1 c h w -> b t c h w", t=10)
    still = judge.select_inputs(moving, selection).temporal
    assert torch.equal(still, still[:, :1].expand_as(still)), "the crop stands still"
    assert len({tuple(place[0, 0, 0].tolist()) for place in still}) > 90
    for name in PRESETS:
        assert not any(isinstance(module, _BatchNorm | TimestepBatchNorm) for module in discriminator(name).modules())


@pytest.mark.parametrize("name", PRESETS)
def test_validation_changes_nothing_and_measures_the_forecast(name):
    """There, validation ran the discriminator, logged losses, and measured no forecast."""
    model = predictor(name)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    dataset = Patterns(frames=5, channels=1, height=16, width=16)
    measured = VideoEvaluation(dataset=dataset, context_frames=2, clips=3, samples=2)(model)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    for metric in ("mse_per_frame", "psnr", "ssim"):
        assert {f"held_out/{metric}/mean", f"held_out/{metric}/copy_last"} <= set(measured)


@pytest.mark.parametrize("loss", ["hinge", "relativistic"])
@pytest.mark.parametrize("name", PRESETS)
def test_scores_are_split_between_real_and_fake_clips_and_the_generator_sees_the_discriminator(name, loss):
    """There, scores were split along the wrong axis, and the generator's loss went without the discriminator."""
    judge, real, fake = discriminator(name), clips(3, seed=1), clips(3, seed=2)
    selection = judge.draw_selection(SampleRandom(0), 3, clip_frames=5, context_frames=2)
    together = judge(torch.cat([real, fake]), selection.duplicate())
    for both, reals, fakes in zip(together, judge(real, selection), judge(fake, selection), strict=True):
        assert both.shape == (6,)
        torch.testing.assert_close(both, torch.cat([reals, fakes]), rtol=1e-4, atol=1e-5)
    objective, model = VideoObjective(VideoObjectiveConfig(loss=loss)), predictor(name)
    sum(objective.generator_terms(model, judge, batch_of(3), step_context()).values()).backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in model.parameters())


@pytest.mark.parametrize("name", PRESETS)
def test_what_a_loaded_model_gives_lies_in_the_documented_range_as_it_is(name, tmp_path):
    """There, released weights gave nonsense until a sigmoid was put behind them."""
    stirred(predictor(name), 1.0).save_pretrained(tmp_path)
    model, past = FramePredictor.from_pretrained(tmp_path), clips(1)[:, :2]
    with torch.no_grad():
        future = model(to_float(to_uint8(past)), SampleRandom(0).normal(1, Z), steps=3)
    assert future.abs().max() <= 1 + 1e-6
    assert future.std() > 0.01
    given = model.predict(to_uint8(past)[0], 3, seed=4)
    with torch.no_grad():
        latent = SampleRandom(derive_seed(4, 0)).normal(1, Z)
        assert torch.equal(given, to_uint8(model(to_float(to_uint8(past)), latent, steps=3)))
