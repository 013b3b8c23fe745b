"""Sizes of the paper, shapes of every preset, and posteriors that views can only sharpen."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from support.toys import GENERATOR, SIDE, batch, generator, image_to_voxels, judge

from gancore.rng import SampleRandom
from voxgan.config import VoxelDiscriminatorConfig, VoxelEncoderConfig, VoxelGeneratorConfig, VoxelShape
from voxgan.networks.discriminator import VoxelDiscriminator
from voxgan.networks.encoder import ImageEncoder, product_of_experts
from voxgan.networks.generator import COMPONENT_STD, VoxelGenerator
from voxgan.networks.image_to_voxels import ImageToVoxels, interpolate_latents, load_model
from voxgan.rendering.camera import CAMERA_GRID

CLASSES = ("chair", "table")


def parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_networks_of_the_paper_have_the_sizes_of_the_paper():
    paper = {"base_channels": 64, "max_channels": 512, "norm": "batch"}
    with torch.device("meta"):
        model = VoxelGenerator(VoxelGeneratorConfig(latent_dim=200, output_bias=False, **paper), VoxelShape(side=64))
        discriminator = VoxelDiscriminator(VoxelDiscriminatorConfig(**paper), VoxelShape(side=64))
        encoder = ImageEncoder(VoxelEncoderConfig(kind="paper", size=256, mask=False), 200)
    assert parameters(model) == 17_569_664
    assert parameters(discriminator) == 11_048_832
    assert parameters(encoder.trunk) == pytest.approx(17.43e6, rel=1e-3)
    assert parameters(encoder) == pytest.approx(17.59e6, rel=1e-3)


@pytest.mark.parametrize("side", [16, 32, 64, 128])
def test_objects_of_every_size_are_generated_and_scored(side):
    shape = VoxelShape(side=side)
    thin = {"base_channels": 1, "max_channels": 4}
    logits = VoxelGenerator(VoxelGeneratorConfig(latent_dim=3, **thin), shape)(torch.randn(1, 3))
    assert logits.shape == (1, side, side, side)
    assert VoxelDiscriminator(VoxelDiscriminatorConfig(**thin), shape)(logits).shape == (1,)


def test_logits_come_out_and_most_of_space_starts_empty():
    logits = generator()(torch.randn(5, GENERATOR.latent_dim))
    assert logits.min() < 0
    assert logits.sigmoid().mean() < 0.3


def test_objects_of_a_symmetric_generator_are_their_own_mirror_images():
    plain, symmetric = (
        VoxelGenerator(VoxelGeneratorConfig(latent_dim=3, base_channels=2, symmetric=flag), VoxelShape(side=16))
        for flag in (False, True)
    )
    latent = torch.randn(2, 3)
    assert torch.equal(symmetric(latent), symmetric(latent).flip(1))
    assert not torch.allclose(plain(latent), plain(latent).flip(1))


def test_the_paper_encoder_takes_256_pixels_to_a_latent_of_either_sign():
    encoder = ImageEncoder(VoxelEncoderConfig(kind="paper", size=256, mask=False), 20).eval()
    posterior = encoder(torch.rand(1, 2, 3, 256, 256) * 2 - 1)
    assert posterior.mean.shape == posterior.log_variance.shape == (1, 20)
    assert posterior.mean.min() < 0 < posterior.mean.max()


def test_one_view_gives_the_product_of_its_factor_and_the_prior():
    mean, precision = torch.tensor([[[2.0, -1.0]]]), torch.tensor([[[3.0, 0.5]]])
    posterior = product_of_experts(mean * precision, precision)
    assert torch.allclose(posterior.mean, torch.tensor([[6 / 4, -0.5 / 1.5]]))
    assert torch.allclose(posterior.log_variance.exp(), torch.tensor([[1 / 4, 1 / 1.5]]))


def test_the_fused_posterior_is_the_normalised_product_of_densities():
    grid = torch.linspace(-8, 8, 4001, dtype=torch.float64)
    means, precisions = torch.tensor([1.0, -2.0, 0.5]).double(), torch.tensor([0.7, 2.0, 1.1]).double()
    log_density = -(grid**2) / 2 - (precisions[:, None] * (grid - means[:, None]) ** 2 / 2).sum(0)
    density = log_density.exp() / log_density.exp().sum()
    mean = (density * grid).sum()
    variance = (density * (grid - mean) ** 2).sum()
    posterior = product_of_experts((means * precisions)[None, :, None], precisions[None, :, None])
    assert posterior.mean.item() == pytest.approx(mean.item(), abs=1e-9)
    assert posterior.log_variance.exp().item() == pytest.approx(variance.item(), rel=1e-6)


def test_the_order_of_views_does_not_matter_and_each_one_sharpens_the_posterior():
    encoder = image_to_voxels().encoder
    views = batch(3, views=4).views
    posterior, turned = encoder(views), encoder(views.flip(1))
    assert torch.allclose(posterior.mean, turned.mean, atol=1e-6)
    widths = [encoder(views[:, :count]).log_variance for count in (1, 2, 3, 4)]
    assert all((more < fewer).all() for fewer, more in pairwise(widths))
    assert (widths[0] < 0).all()


def test_views_that_are_masked_out_do_not_count():
    encoder = image_to_voxels().encoder
    views = batch(2, views=3).views
    view_mask = torch.tensor([[True, False, False], [True, True, False]])
    posterior = encoder(views, view_mask)
    assert torch.allclose(posterior.mean[0], encoder(views[:1, :1]).mean[0], atol=1e-6)
    assert torch.allclose(posterior.mean[1], encoder(views[1:, :2]).mean[0], atol=1e-6)


def test_an_object_does_not_depend_on_what_else_is_in_the_batch():
    network, views = image_to_voxels(CLASSES), batch(4).views
    network.train()  # the modern preset has no batch statistics
    alone = network(views[2:3], torch.tensor([1]))
    together = network(views, torch.tensor([0, 1, 1, 0]))
    assert torch.allclose(alone[0], together[2], atol=1e-5)


def test_classes_make_a_difference_and_the_unknown_class_has_an_embedding_of_its_own():
    model, discriminator = generator(CLASSES), judge(CLASSES)
    torch.nn.init.normal_(discriminator.projection.weight)
    latent = torch.randn(1, GENERATOR.latent_dim)
    labels = [None, *(torch.tensor([label]) for label in (0, 1, 2))]
    unknown, chair, table, also_unknown = (model(latent, label) for label in labels)
    assert torch.equal(unknown, also_unknown)
    assert not torch.allclose(chair, table)
    assert not torch.allclose(chair, unknown)
    scores = [discriminator(chair.sigmoid(), label) for label in labels[1:3]]
    assert not torch.allclose(*scores)


def test_the_paper_prior_is_uniform_and_the_modern_one_normal():
    uniform = VoxelGenerator(
        VoxelGeneratorConfig(latent_dim=200, latent_prior="uniform", base_channels=1), VoxelShape(side=8)
    )
    drawn = uniform.sample_latents(SampleRandom(0), 50)
    assert 0 <= drawn.min() < 0.01 < 0.99 < drawn.max() < 1
    assert drawn.mean() == pytest.approx(0.5, abs=0.01)
    with pytest.raises(ValueError, match="truncation is for normal latents"):
        uniform.sample(1, truncation=1.0)
    drawn = VoxelGenerator(VoxelGeneratorConfig(latent_dim=200, base_channels=1), VoxelShape(side=8)).sample_latents(
        SampleRandom(0), 50
    )
    assert (drawn.mean().item(), drawn.std().item()) == pytest.approx((0, 1), abs=0.03)


def test_a_mixture_is_as_wide_as_one_gaussian_and_its_samples_gather_around_the_means():
    config = VoxelGeneratorConfig(latent_dim=8, latent_prior="mixture", mixture_components=5, base_channels=1)
    model = VoxelGenerator(config, VoxelShape(side=8))
    drawn = model.sample_latents(SampleRandom(0), 500)
    assert drawn.detach().std().item() == pytest.approx(1, abs=0.2)
    nearest, which = torch.cdist(drawn, model.means).min(1)
    assert nearest.mean().item() == pytest.approx(COMPONENT_STD * 8**0.5, rel=0.1)
    assert which.bincount(minlength=5).tolist() == pytest.approx([100] * 5, abs=20)
    model(drawn).sum().backward()
    assert (model.means.grad.abs().sum(1) > 0).all()
    assert not model.latent_from_seed(3).requires_grad


def test_patches_are_scored_where_they_are_and_add_their_mean():
    shape, thin = VoxelShape(side=64), {"base_channels": 2, "max_channels": 4}
    whole, patches = (VoxelDiscriminator(VoxelDiscriminatorConfig(**thin, patch_levels=n), shape) for n in (0, 2))
    patches.load_state_dict(whole.state_dict(), strict=False)
    objects = torch.rand(2, 64, 64, 64)
    scores = patches.patch_score(patches.feature_maps(objects)[1])
    assert scores.shape == (2, 1, 16, 16, 16)
    assert torch.allclose(patches(objects), whole(objects) + scores.mean((1, 2, 3, 4)), atol=1e-6)
    objects.requires_grad_()
    (reach,) = torch.autograd.grad(patches.patch_score(patches.feature_maps(objects)[1])[0, 0, 8, 8, 8], objects)
    seen = reach[0].nonzero()
    assert (seen.amax(0) - seen.amin(0) + 1).tolist() == [10, 10, 10]


def test_cameras_are_told_for_each_view_and_change_nothing_else():
    toy = image_to_voxels()
    model = ImageToVoxels(replace(toy.encoder.config, cameras=True), toy.generator.config, toy.shape).eval()
    model.load_state_dict(toy.state_dict(), strict=False)
    views = torch.rand(2, 3, 4, 16, 16) * 2 - 1
    posterior, plain = model.encoder(views), toy.encoder(views)
    assert torch.equal(posterior.mean, plain.mean)
    assert plain.cameras is None
    assert plain.camera_log_likelihoods(3) == (None, None, None)
    assert posterior.cameras.shape == (2, 3, len(CAMERA_GRID))
    known = posterior.camera_log_likelihoods(3)
    assert [np.exp(each).sum() for each in known] == pytest.approx([1, 1, 1])
    alone = model.encoder(views[:1, 1:2]).camera_log_likelihoods(1)
    assert np.allclose(alone[0], known[1], atol=1e-5)


def test_running_statistics_move_in_training_and_eval_comes_close_to_it():
    network = image_to_voxels(norm="batch")
    norm = network.generator.norms[0]
    before = norm.running_mean.clone()
    latent = torch.randn(64, GENERATOR.latent_dim)
    network.train()
    for _ in range(60):
        trained = network.generator(latent)
    assert not torch.allclose(before, norm.running_mean)
    assert (network.eval().generator(latent) - trained).abs().mean() < 0.05 * trained.std()


def test_a_sample_does_not_depend_on_the_number_of_samples_and_differs_by_seed_and_class():
    model = generator(CLASSES)
    three = model.sample(3, seed=5, label="table")
    assert three.shape == (3, SIDE, SIDE, SIDE)
    assert 0 <= three.min() <= three.max() <= 1
    assert torch.equal(model.sample(1, seed=6, label="table")[0], three[1])
    assert not torch.equal(three[0], three[1])
    assert not torch.equal(model.sample(1, seed=5, label="chair")[0], three[0])


def test_no_objects_at_all_are_refused():
    with pytest.raises(ValueError, match="count must be at least 1, got 0"):
        generator().sample(0)


def test_the_message_about_an_unknown_class_lists_the_known_ones():
    with pytest.raises(ValueError, match="unknown class 'boat'; choose from chair, table"):
        generator(CLASSES).sample(1, label="boat")
    with pytest.raises(ValueError, match="the model has no classes"):
        generator().sample(1, label="boat")


@pytest.mark.parametrize("make", [image_to_voxels, generator])
def test_either_model_is_loaded_as_its_own_class(tmp_path, make):
    model = make(CLASSES)
    model.save_pretrained(tmp_path)
    found = load_model(tmp_path)
    assert type(found) is type(model)
    assert found.shape == VoxelShape(side=SIDE, classes=CLASSES)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), found.parameters(), strict=True))


def test_a_model_of_another_class_is_refused(tmp_path):
    generator().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="holds a VoxelGenerator; ImageToVoxels is needed"):
        ImageToVoxels.from_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"model": "FramePredictor"}))
    with pytest.raises(ValueError, match="holds a FramePredictor, not one of ImageToVoxels, VoxelGenerator"):
        load_model(tmp_path)


def test_interpolation_passes_both_ends_on_the_sphere():
    first, last = torch.randn(1, 50), torch.randn(1, 50)
    path = interpolate_latents(first, last, count=5)
    assert torch.allclose(path[0], first[0], atol=1e-5)
    assert torch.allclose(path[-1], last[0], atol=1e-5)
    assert path.norm(dim=1).min() > 0.9 * min(first.norm(), last.norm())
    assert torch.allclose(interpolate_latents(first, first, count=3), first.expand(3, -1))


@pytest.mark.parametrize("factor", [0.0, -1.0, 2.0])
def test_interpolation_is_straight_where_no_single_circle_leads_from_one_to_the_other(factor):
    first = torch.randn(1, 50)
    expected = first * (1 + (factor - 1) * torch.linspace(0, 1, 5)[:, None])
    torch.testing.assert_close(interpolate_latents(first, factor * first, count=5), expected)
    torch.testing.assert_close(interpolate_latents(factor * first, first, count=5).flip(0), expected)


@pytest.mark.parametrize("side", [0, 20, 512])
def test_an_impossible_side_is_refused(side):
    with pytest.raises(ValueError, match="side must be"):
        VoxelShape(side=side)


def test_impossible_image_sizes_are_refused():
    with pytest.raises(ValueError, match="size must be 256 for the paper's encoder"):
        VoxelEncoderConfig(kind="paper")
    with pytest.raises(ValueError, match="size must be a power of two"):
        VoxelEncoderConfig(size=100)


def test_dropout_and_spectral_norm_of_the_discriminator_do_what_they_say():
    occupancy = torch.rand(2, SIDE, SIDE, SIDE)
    hidden = VoxelDiscriminator(VoxelDiscriminatorConfig(base_channels=4, dropout=0.5), VoxelShape(side=SIDE)).train()
    assert not torch.equal(hidden(occupancy), hidden(occupancy))
    normed = VoxelDiscriminator(VoxelDiscriminatorConfig(base_channels=4, spectral_norm=True), VoxelShape(side=SIDE))
    for _ in range(30):
        normed.train()(occupancy)
    assert torch.linalg.matrix_norm(normed.score.weight, 2).item() == pytest.approx(1, rel=1e-3)
