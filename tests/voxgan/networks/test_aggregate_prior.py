"""Latents from the aggregate posterior: its moments, its classes, and what it does before it has seen anything."""

from dataclasses import replace

import pytest
import torch
from support.toys import GENERATOR, SIDE, batch, image_to_voxels, judge, step_context

from gancore.rng import SampleRandom
from voxgan.config import VoxelGeneratorConfig, VoxelObjectiveConfig, VoxelShape
from voxgan.networks.aggregate_prior import HORIZON, AggregatePrior
from voxgan.networks.generator import VoxelGenerator
from voxgan.networks.image_to_voxels import ImageToVoxels
from voxgan.objective import VoxelObjective

LATENT, CLASSES = 4, ("stool", "lamp", "bed")
AGGREGATE = replace(GENERATOR, latent_prior="aggregate")


def posteriors(count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Means, variances and labels of two classes that lie apart and have correlated numbers."""
    random = torch.Generator().manual_seed(seed)
    labels = (torch.rand(count, generator=random) < 0.25).long()
    mixing = torch.tensor([[1.0, 0, 0, 0], [0.8, 0.5, 0, 0], [0, 0, 2.0, 0], [0, 0, -1.0, 0.3]])
    means = torch.randn(count, LATENT, generator=random) @ mixing.T + 5 * labels[:, None]
    return means, 0.1 + torch.rand(count, LATENT, generator=random), labels


def fitted(count: int = 2000, *, batch_size: int = 50) -> AggregatePrior:
    prior = AggregatePrior(len(CLASSES), LATENT)
    for mean, variance, labels in zip(*(part.split(batch_size) for part in posteriors(count)), strict=True):
        prior.update(mean, variance, labels, objects=batch_size)
    return prior


def draw(prior: AggregatePrior, label: int | None, count: int = 20000) -> torch.Tensor:
    return prior.sample(SampleRandom(1), count, None if label is None else torch.full((count,), label))


@pytest.mark.parametrize("label", [0, 1])
def test_latents_of_a_class_have_the_moments_of_its_posteriors(label):
    means, variances, labels = posteriors(2000)
    own = labels == label
    drawn = draw(fitted(), label)
    assert torch.allclose(drawn.mean(0), means[own].mean(0), atol=0.1)
    expected = means[own].T.cov(correction=0) + variances[own].mean(0).diag()
    assert torch.allclose(drawn.T.cov(), expected, atol=0.25)


def test_a_class_of_which_nothing_was_seen_has_the_standard_normal():
    drawn = draw(fitted(), 2)
    assert torch.allclose(drawn.mean(0), torch.zeros(LATENT), atol=0.05)
    assert torch.allclose(drawn.T.cov(), torch.eye(LATENT), atol=0.05)
    empty = AggregatePrior(1, LATENT)
    assert torch.allclose(draw(empty, None).T.cov(), torch.eye(LATENT), atol=0.05)


def test_without_a_class_each_comes_as_often_as_it_was_seen():
    prior = fitted()
    share = (posteriors(2000)[2] == 1).float().mean()
    unknown = prior.sample(SampleRandom(1), 20000, torch.full((20000,), len(CLASSES)))
    for drawn in (draw(prior, None), unknown):
        nearer = (drawn - 5).norm(dim=1) < drawn.norm(dim=1)
        assert nearer.float().mean() == pytest.approx(share.item(), abs=0.03)


def test_a_truncation_keeps_latents_near_the_mean_of_the_class():
    prior = fitted()
    labels = torch.ones(500, dtype=torch.long)
    drawn = [prior.sample(SampleRandom(1), 500, labels, truncation=bound) for bound in (0.0, 0.3)]
    mean = draw(prior, 1).mean(0)
    assert torch.allclose(drawn[0], drawn[0][:1].expand(500, -1))
    assert torch.allclose(drawn[0][0], mean, atol=0.1)
    assert 0 < (drawn[1] - mean).norm(dim=1).mean() < 0.4 * (draw(prior, 1) - mean).norm(dim=1).mean()


def test_what_was_long_ago_is_forgotten():
    prior = AggregatePrior(1, 1)
    zeros = torch.zeros(HORIZON // 8, dtype=torch.long)
    for mean in [10.0] * 16 + [0.0] * 80:
        prior.update(torch.full((len(zeros), 1), mean), torch.ones(len(zeros), 1), zeros, objects=len(zeros))
    assert draw(prior, 0).mean().abs() < 0.1


def test_how_a_batch_is_split_over_processes_makes_no_difference():
    whole, halves = AggregatePrior(2, LATENT), AggregatePrior(2, LATENT)
    parts = posteriors(40)
    whole.update(*parts, objects=40)
    others = AggregatePrior(2, LATENT)
    others.update(*(part[20:] for part in parts), objects=40)
    waiting = iter(others.state_dict().values())
    weight = 1 - 0.5 ** (40 / HORIZON)

    def mean_over_processes(own: torch.Tensor) -> torch.Tensor:
        return (own + next(waiting) / weight) / 2

    halves.update(*(part[:20] for part in parts), objects=40, mean_over_processes=mean_over_processes)
    for name, value in whole.state_dict().items():
        assert torch.allclose(value, halves.state_dict()[name], rtol=1e-4, atol=1e-7)


def test_under_autocast_moments_keep_their_precision():
    plain, mixed, given = AggregatePrior(2, LATENT), AggregatePrior(2, LATENT), posteriors(40)
    plain.update(*given, objects=40)
    with torch.autocast("cpu", torch.bfloat16):
        mixed.update(*given, objects=40)
        drawn = draw(mixed, 0, 10)
    assert all(torch.equal(*pair) for pair in zip(plain.buffers(), mixed.buffers(), strict=True))
    assert torch.equal(drawn, draw(plain, 0, 10))


def test_training_fits_the_prior_and_the_class_of_an_object_is_where_its_latent_lies():
    torch.manual_seed(0)
    toy = image_to_voxels()
    network = ImageToVoxels(toy.encoder.config, AGGREGATE, VoxelShape(side=SIDE, classes=CLASSES))
    assert network.generator.embedding is None
    objective, judged = VoxelObjective(VoxelObjectiveConfig(adversarial_weight=0.0)), judge()
    for step in range(3):
        objective.generator_updates(network, judged)[0].terms(batch(), step_context(step=step))
    prior = network.generator.prior
    assert prior is not None
    assert prior.frequency.sum() > 0
    seen = [name for name, often in zip(CLASSES, prior.frequency, strict=True) if often]
    latents = [network.generator.latent_from_seed(3, label=name) for name in (*seen[:1], "bed")]
    assert torch.equal(latents[0], network.generator.latent_from_seed(3, label=seen[0]))
    assert not torch.allclose(*latents)
    with pytest.raises(ValueError, match="uses classes only for objects from noise"):
        network.reconstruct([], label="lamp")
    with pytest.raises(ValueError, match="unknown class 'sofa'"):
        network.generator.sample(1, label="sofa")


def test_a_generator_without_classes_has_one_gaussian():
    generator = VoxelGenerator(VoxelGeneratorConfig(latent_prior="aggregate", base_channels=1), VoxelShape(side=8))
    assert generator.prior is not None
    assert len(generator.prior.frequency) == 1
    assert generator.sample(2, seed=1).shape == (2, 8, 8, 8)
