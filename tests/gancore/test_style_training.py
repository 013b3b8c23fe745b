"""Style mixing and the path length penalty, by hand."""

import math

import torch

from gancore.rng import SampleRandom
from gancore.style import MappingNetwork
from gancore.style_config import StyleConfig, StyleObjectiveConfig
from gancore.style_training import PathLength, mix_styles, train_styles


def test_samples_are_mixed_each_from_a_layer_of_its_own():
    ours, theirs = torch.zeros(400, 6, 2), torch.ones(400, 6, 2)
    mixed = mix_styles(ours, theirs, probability=0.5, rng=SampleRandom(0))[:, :, 0]
    firsts = 6 - mixed.sum(1)  # the number of layers that kept their style
    assert (mixed.diff(dim=1) >= 0).all()
    assert mixed[:, 0].sum() == 0
    assert set(firsts.tolist()) == {1, 2, 3, 4, 5, 6}
    assert 150 < (firsts < 6).sum() < 250


def test_mixing_never_and_always():
    ours, theirs = torch.zeros(9, 4, 2), torch.ones(9, 4, 2)
    assert mix_styles(ours, theirs, probability=0.0, rng=SampleRandom(0)).sum() == 0
    assert (mix_styles(ours, theirs, probability=1.0, rng=SampleRandom(0))[:, -1] == 1).all()


def linear(styles: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    return styles[:, 0] @ matrix


def test_the_length_of_a_linear_map_is_that_of_its_transpose_times_the_noise():
    matrix = torch.randn(3, 50, generator=torch.Generator().manual_seed(0))
    styles, network = torch.zeros(4, 1, 3, requires_grad=True), PathLength()
    penalty = network(linear(styles, matrix), styles, rng=SampleRandom(5))
    noise = SampleRandom(5).normal(4, 50) / math.sqrt(50)
    lengths = (noise @ matrix.T).norm(dim=1)
    torch.testing.assert_close(network.mean, 0.01 * lengths.mean())
    torch.testing.assert_close(penalty, (lengths - network.mean).square().mean())


def test_the_penalty_has_a_gradient_to_the_weights_and_its_mean_runs_and_is_saved():
    matrix = torch.randn(3, 50, requires_grad=True)
    styles, network = torch.randn(4, 1, 3, requires_grad=True), PathLength()
    means = []
    for seed in range(300):
        penalty = network(linear(styles, matrix), styles, rng=SampleRandom(seed))
        means.append(float(network.mean))
    (slope,) = torch.autograd.grad(penalty, matrix)
    assert slope.abs().sum() > 0
    assert means[-1] > 0.5
    resumed = PathLength()
    resumed.load_state_dict(network.state_dict())
    assert torch.equal(resumed.mean, network.mean)


def test_styles_in_training_are_those_of_the_latents_unless_mixed_and_their_mean_follows():
    torch.manual_seed(0)
    mapping = MappingNetwork(StyleConfig(width=4), 3)
    latents, others = torch.randn(8, 3), torch.randn(8, 3)

    def drawn(probability: float) -> torch.Tensor:
        return train_styles(
            mapping,
            lambda z: mapping(z)[:, None].expand(-1, 5, -1),
            latents,
            redraw=lambda: others,
            config=StyleObjectiveConfig(mixing_probability=probability),
            rng=SampleRandom(0),
        )

    plain = drawn(0.0)
    torch.testing.assert_close(plain[:, 2], mapping(latents))
    torch.testing.assert_close(mapping.mean, mapping(latents).mean(0).detach())
    mixed = drawn(1.0)
    torch.testing.assert_close(mixed[:, 0], mapping(latents))
    torch.testing.assert_close(mixed[:, -1], mapping(others))
