"""Distances of samples from the truth: relative, almost fair, and of displacements where they are known."""

from dataclasses import replace

import pytest
import torch
from support.tiny import (
    PLAIN,
    discriminator,
    small_generator,
    step_context,
)

from gancore.data import Sample
from gancore.rng import SampleRandom
from vidgan.config import ClipShape, VideoConfig, VideoDiscriminatorConfig, VideoObjectiveConfig
from vidgan.data.batch import ClipBatch, collate
from vidgan.data.dataset import open_dataset
from vidgan.data.synthetic.cut_outs import CutOutClips
from vidgan.data.synthetic.patches import ProceduralPatches
from vidgan.data_config import VideoDataConfig
from vidgan.metrics import crps
from vidgan.networks.generator import FramePredictor
from vidgan.objective import (
    DISTANCES,
    VideoObjective,
    almost_fair_crps,
    futures_with_displacement_error,
    perceptual_error,
    sample_latents,
)


@pytest.mark.parametrize("distance", ["l1", "crps"])
@pytest.mark.parametrize("growth", [1.0, 5.0])
def test_a_relative_error_counts_clips_and_frames_alike_however_much_moves(distance, growth):
    random = torch.Generator().manual_seed(0)
    past, change = torch.zeros(2, 1, 1, 8, 8), torch.rand(1, 1, 1, 8, 8, generator=random) - 0.5
    change = torch.cat([change, growth * change], 1)
    frames = torch.cat([past, torch.cat([change, 0.1 * change])], 1)
    batch = ClipBatch(frames, torch.zeros(2, dtype=torch.long), 1)
    samples = frames[:, None, 1:] * torch.tensor([0.3, 0.6])[:, None, None, None, None]
    config = replace(PLAIN, reconstruction_weight=1.0, reconstruction_distance=distance, reconstruction_scales=2)
    objectives = [VideoObjective(replace(config, reconstruction_relative=relative)) for relative in (True, False)]
    (loud, quiet), (plain_loud, plain_quiet) = (
        [objective._reconstruction_error(samples[each], batch[each]) for each in (slice(1), slice(1, None))]
        for objective in objectives
    )
    torch.testing.assert_close(loud, quiet)
    torch.testing.assert_close(plain_loud, 10 * plain_quiet)
    first = objectives[0]._reconstruction_error(samples[:1, :, :1], replace(batch[:1], frames=frames[:1, :2]))
    torch.testing.assert_close(loud, first)


SPLAT = ClipShape(channels=3, height=16, width=16, context_frames=3, clip_frames=6)


def rendered_batch(*, known: int) -> ClipBatch:
    """Three cut-outs, of which the displacements of the first are known."""
    data = CutOutClips(ProceduralPatches(), split="train", known_after=3, height=16, width=16, clip_frames=6)
    return collate([data[Sample(0, seed)][: 3 if seed < known else 2] for seed in range(3)], 3).to("cpu")


@pytest.mark.parametrize("samples", [1, 2])
def test_displacements_are_scored_on_clips_of_which_they_are_known(samples):
    torch.manual_seed(0)
    model, batch = FramePredictor(small_generator("splat"), SPLAT), rendered_batch(known=2)
    latents = sample_latents(model, batch, SampleRandom(0), samples=samples)
    futures, error = futures_with_displacement_error(model, batch, latents, samples=samples)
    assert futures.shape == (3, samples, 3, 3, 16, 16)
    _, of_known = futures_with_displacement_error(model, batch[:2], latents[:2], samples=samples)
    assert error > 0
    torch.testing.assert_close(error, of_known)
    beside = sample_latents(model, batch, SampleRandom(0), samples=samples, typical=True)
    torch.testing.assert_close(futures_with_displacement_error(model, batch, beside, samples=samples)[1], error)
    if samples == 1:
        made = model.predict_output(batch.past[:2], latents[:2, 0], steps=3)
        torch.testing.assert_close(of_known, (made.displacement - batch.displacement[:2]).abs().mean() / 16)
    assert futures_with_displacement_error(model, rendered_batch(known=0), latents, samples=samples)[1] == 0
    assert futures_with_displacement_error(model, batch[2:], latents[2:], samples=samples)[1] == 0


def test_the_typical_future_is_that_of_the_zero_latent_and_is_scored_beside_the_samples():
    torch.manual_seed(0)
    model, batch = FramePredictor(small_generator("splat"), SPLAT), rendered_batch(known=0)
    config = replace(PLAIN, adversarial_weight=0.0, reconstruction_weight=1.0, reconstruction_distance="crps")
    alone, beside = (
        VideoObjective(replace(config, typical_weight=weight)).generator_terms(
            model, discriminator("modern", channels=3), batch, step_context()
        )
        for weight in (0.0, 3.0)
    )
    torch.testing.assert_close(alone["reconstruction"], beside["reconstruction"])
    future = model(batch.past, torch.zeros(3, model.config.latent_dim), steps=3)
    torch.testing.assert_close(beside["typical"], 3 * (future - batch.future).abs().mean())
    assert alone.keys() == {"reconstruction"}
    assert beside.keys() == {"reconstruction", "typical"}


def test_only_clips_that_are_rendered_for_an_output_that_displaces_pixels_are_supervised():
    wanted, few = VideoObjectiveConfig(displacement_weight=1.0), VideoDiscriminatorConfig(spatial_frames=2)
    splat, cut_outs = small_generator("splat"), VideoDataConfig(path="cut-outs", clip_frames=6, context_frames=3)
    with pytest.raises(ValueError, match=r"only generator\.output splat displaces pixels"):
        VideoConfig(objective=wanted, data=cut_outs, discriminator=few)
    with pytest.raises(ValueError, match=r"only of cut-outs are displacements known"):
        VideoConfig(objective=wanted, generator=splat)
    config = VideoConfig(objective=wanted, generator=splat, data=cut_outs, discriminator=few)
    assert len(open_dataset(config.data, split="train", displacements=True)[Sample(0, 0)]) == 3
    assert len(open_dataset(config.data, split="train")[Sample(0, 0)]) == 2


def test_displacements_move_the_generator_by_themselves():
    torch.manual_seed(0)
    model, batch = FramePredictor(small_generator("splat"), SPLAT), rendered_batch(known=3)
    config = replace(PLAIN, adversarial_weight=0.0, reconstruction_weight=1e-9, displacement_weight=2.0)
    terms = VideoObjective(config).generator_terms(model, discriminator("modern"), batch, step_context(1))
    assert set(terms) == {"displacement", "reconstruction"}
    terms["displacement"].backward()
    assert model.decoder.output.travel.weight.grad.abs().max() > 0


def test_only_the_score_of_samples_is_best_for_samples_as_different_as_the_truth():
    random = torch.Generator().manual_seed(0)
    truth, noise = torch.randn(20_000, generator=random), torch.randn(2, 20_000, generator=random)
    scores = {
        name: [
            float(DISTANCES[name](spread * noise - truth if name == "crps" else (spread * noise).mean(0) - truth))
            for spread in (0.0, 0.5, 1.0, 1.5, 2.0)
        ]
        for name in ("l1", "l2", "crps")
    }
    assert scores["crps"].index(min(scores["crps"])) == 2
    assert scores["l1"].index(min(scores["l1"])) == scores["l2"].index(min(scores["l2"])) == 0


def test_the_score_of_samples_is_that_which_forecasts_are_evaluated_by():
    random = torch.Generator().manual_seed(0)
    samples, true = torch.randn(3, 4, 2, 1, 5, 6, generator=random), torch.randn(3, 2, 1, 5, 6, generator=random)
    ours = almost_fair_crps((samples - true[:, None]).transpose(0, 1), fairness=1.0)
    torch.testing.assert_close(ours, 2 * crps(samples, true).mean())  # evaluated on a range of one, not of two


def test_the_almost_fair_score_is_between_the_fair_one_and_that_of_the_samples_alone():
    samples, true = torch.randn(4, 500), torch.randn(500)
    error = (samples - true).abs().mean()
    apart = (samples[:, None] - samples).abs().mean((0, 1, 2))
    alone, fair = error - apart / 2, error - apart / 2 * 4 / 3
    torch.testing.assert_close(almost_fair_crps(samples - true), 0.95 * fair + 0.05 * alone)


def test_a_score_of_samples_needs_two():
    with pytest.raises(ValueError, match="set reconstruction_samples to 2"):
        replace(PLAIN, reconstruction_weight=1.0, reconstruction_distance="crps", reconstruction_samples=1)


def test_a_perceptual_error_is_of_one_frame_of_each_clip_and_of_the_first_sample():
    try:
        objective = VideoObjective(
            replace(PLAIN, adversarial_weight=0.0, perceptual_weight=3.0, reconstruction_weight=1.0)
        )
    except FileNotFoundError as missing:
        pytest.skip(str(missing))
    random = torch.Generator().manual_seed(0)
    futures, true = (torch.rand(2, 3, 1, 16, 16, generator=random) * 2 - 1 for _ in range(2))
    error = perceptual_error(objective.perceptual_network, futures, true, SampleRandom(4))
    each = [
        objective.perceptual_network.training_distance(*(x[:, t].expand(-1, 3, -1, -1) for x in (futures, true)))
        for t in range(3)
    ]
    which = SampleRandom(4).choice(2, 1, 3)[:, 0].tolist()
    assert error.item() == pytest.approx(sum(each[t][clip] for clip, t in enumerate(which)).item() / 2)
    model, batch = FramePredictor(small_generator("splat"), SPLAT), rendered_batch(known=0)
    terms = objective.generator_terms(model, discriminator("modern", channels=3), batch, step_context())
    assert terms.keys() == {"reconstruction", "perceptual"}
    assert terms["perceptual"] > 0
    assert not any(weight.requires_grad for weight in objective.perceptual_network.parameters())
    assert not objective.state.state_dict()  # its weights are not saved with every checkpoint


def test_a_perceptual_error_needs_colours_or_grey():
    with pytest.raises(ValueError, match="1 or 3 channels, not 2"):
        VideoConfig(data=VideoDataConfig(channels=2), objective=VideoObjectiveConfig(perceptual_weight=1.0))
