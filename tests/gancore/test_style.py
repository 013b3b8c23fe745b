"""Layers of style generators, against their definitions."""

import math
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gancore.style import (
    EPSILON,
    EqualisedLinear,
    MappingNetwork,
    ModulatedConv,
    StyleSynthesis,
    normalise,
    repeat_styles,
)
from gancore.style_config import StyleConfig


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def define(conv: ModulatedConv, x: Tensor, style: Tensor) -> Tensor:
    """Equations 1 to 3 of StyleGAN2, one sample at a time, with weights of its own."""
    outputs = []
    for sample, scale in zip(x, conv.affine(style), strict=True):
        weight = conv.gain * conv.weight * scale.view(1, -1, *[1] * conv.dims)
        if conv.demodulate:
            norm = (weight.flatten(1).square().sum(1) / conv.phases + EPSILON).sqrt()
            weight = weight / norm.view(-1, 1, *[1] * conv.dims)
        if conv.doubles:
            layer = F.conv_transpose2d if conv.dims == 2 else F.conv_transpose3d
            y = layer(sample[None], weight.transpose(0, 1), conv.bias, stride=2, padding=conv.padding)
        else:
            y = (F.conv2d if conv.dims == 2 else F.conv3d)(sample[None], weight, conv.bias, padding=conv.padding)
        outputs.append(F.leaky_relu(y, 0.2) * math.sqrt(2) if conv.activate else y)
    return torch.cat(outputs)


def convolution(dims: int, kernel: int, **options: bool) -> ModulatedConv:
    torch.manual_seed(0)
    conv = ModulatedConv(dims, 5, 4, style=6, kernel=kernel, **options).double()
    torch.nn.init.normal_(conv.bias)
    return conv


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("kernel", [1, 3, 4])
@pytest.mark.parametrize("options", [{}, {"activate": True}, {"demodulate": False}], ids=str)
def test_a_modulated_convolution_equals_its_definition(dims, kernel, options):
    conv, x, style = convolution(dims, kernel, **options), numbers(3, 5, *[5] * dims), numbers(3, 6, seed=1)
    y = conv(x, style)
    assert y.shape == (3, 4, *[10 if kernel == 4 else 5] * dims)
    torch.testing.assert_close(y, define(conv, x, style), rtol=1e-10, atol=1e-10)


def test_a_group_of_convolutions_gives_the_same():
    conv, x, style = convolution(2, 3), numbers(3, 5, 6, 6), numbers(3, 6, seed=1)
    weight = conv.gain * conv.weight * conv.affine(style)[:, None, :, None, None]
    weight = weight * (weight.square().sum((2, 3, 4), keepdim=True) + EPSILON).rsqrt()
    together = F.conv2d(x.flatten(0, 1)[None], weight.flatten(0, 1), padding=1, groups=3).view(3, 4, 6, 6)
    torch.testing.assert_close(conv(x, style), together + conv.bias.view(1, -1, 1, 1), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("dims", [2, 3])
def test_demodulation_takes_the_size_of_a_style_out(dims):
    conv, x = convolution(dims, 3), numbers(2, 5, *[4] * dims)
    with torch.no_grad():
        conv.affine.bias.zero_()
    style = numbers(2, 6, seed=1)
    torch.testing.assert_close(conv(x, style), conv(x, 7 * style), rtol=1e-6, atol=1e-6)
    conv.demodulate = False
    assert not torch.allclose(conv(x, style), conv(x, 7 * style), rtol=0.1)


@pytest.mark.parametrize("kernel", [3, 4])
def test_unit_noise_leaves_a_demodulated_convolution_as_unit_noise(kernel):
    torch.manual_seed(0)
    conv = ModulatedConv(3, 64, 64, style=8, kernel=kernel)
    y = conv(torch.randn(2, 64, 8, 8, 8), torch.randn(2, 8))[..., 2:-2, 2:-2, 2:-2]
    assert 0.9 < y.std() < 1.1


def test_an_equalised_layer_starts_alike_for_every_rate_and_learns_at_it():
    for lr in (1.0, 0.01):
        torch.manual_seed(0)
        layer = EqualisedLinear(400, 300, bias=0.5, lr=lr)
        y = layer(torch.randn(50, 400)).detach()
        assert y.std() == pytest.approx(1, abs=0.05)
        assert y.mean() == pytest.approx(0.5, abs=0.05)
        with torch.no_grad():  # a step of Adam is of one size, whatever the gradient
            layer.bias += 0.1
        torch.testing.assert_close(layer(torch.zeros(1, 400)), torch.full((1, 300), 0.5 + 0.1 * lr))


def mapping(condition: int = 0) -> MappingNetwork:
    torch.manual_seed(0)
    return MappingNetwork(StyleConfig(width=16, mapping_layers=3), 8, condition=condition)


def test_a_mapping_sees_the_direction_of_a_latent_alone():
    network, z = mapping(), torch.randn(4, 8)
    torch.testing.assert_close(network(z), network(5 * z), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(normalise(z).square().mean(1), torch.ones(4))
    assert (network(z)[0] - network(z)[1]).abs().max() > 0.1


def test_classes_have_styles_of_their_own():
    network, z, condition = mapping(condition=3), torch.randn(1, 8).expand(2, -1), torch.randn(2, 3)
    one, other = network(z, condition)
    assert (one - other).abs().max() > 0.1


def test_truncation_leaves_a_share_of_the_way_from_the_mean():
    network, z = mapping(), torch.randn(32, 8)
    w = network(z).detach()
    network.track(w)
    torch.testing.assert_close(network.mean, w.mean(0))
    torch.testing.assert_close(network(z, truncation=1.0), w)
    torch.testing.assert_close(network(z, truncation=0.0), network.mean.expand(32, -1))
    torch.testing.assert_close(network(z, truncation=0.5), (w + network.mean) / 2)
    with pytest.raises(ValueError, match="truncation must be at least 0"):
        network(z, truncation=-0.1)


def test_the_mean_style_is_at_first_a_plain_mean_and_then_runs():
    network, batches = mapping(), torch.randn(3, 4, 16)
    for batch in batches:
        network.track(batch)
    torch.testing.assert_close(network.mean, batches.mean((0, 1)))
    network.updates.fill_(10**6)
    before = network.mean.clone()
    network.track(torch.ones(4, 16))
    torch.testing.assert_close(network.mean, before + 0.002 * (1 - before))


def synthesis(dims: int, **options: bool | int) -> StyleSynthesis:
    torch.manual_seed(0)
    config = StyleConfig(width=6, **options)
    return StyleSynthesis(dims, [6, 4, 4, 2], 3, config=config, start=[3] * dims, inputs=2)


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_every_layer_has_a_style_and_every_style_a_say(dims, layers):
    network = synthesis(dims, layers_per_level=layers)
    assert network.num_styles == max(layers - 1, 1) + 3 * layers + 1
    styles = torch.randn(1, network.num_styles, 6, requires_grad=True)
    y = network(styles, torch.randn(1, 2))
    assert y.shape == (1, 3, *[3 * 2 ** (3 if dims == 2 else 4)] * dims)
    (slopes,) = torch.autograd.grad(y.square().sum(), styles)
    assert (slopes.abs().amax(2) > 0).all()


@pytest.mark.parametrize("dims", [2, 3])
def test_no_sample_depends_on_its_batch_and_training_mode_changes_nothing(dims):
    network = synthesis(dims)
    styles, inputs = torch.randn(3, network.num_styles, 6), torch.randn(3, 2)
    kept = styles.clone()
    together = network(styles, inputs)
    torch.testing.assert_close(together[1:2], network(styles[1:2], inputs[1:2]), rtol=1e-4, atol=1e-5)
    assert torch.equal(network.eval()(styles, inputs), together)
    assert torch.equal(styles, kept)


@pytest.mark.parametrize("dims", [2, 3])
def test_a_level_fades_in_without_a_jump_and_hidden_ones_are_not_computed(dims):
    network = synthesis(dims)
    styles, inputs = torch.randn(1, network.num_styles, 6), torch.randn(1, 2)
    seen = []
    with torch.no_grad():
        for hidden in [3 - step / 20 for step in range(61)]:
            network.growth.set(hidden)
            seen.append(network(styles, inputs))
    jumps = [float((a - b).abs().max()) for a, b in pairwise(seen)]
    assert max(jumps) < 0.2 * float((seen[-1] - seen[0]).abs().max())
    network.growth.set(1.0)
    for parameter in [*network.layers[3].parameters(), *network.outputs[3].parameters()]:
        torch.nn.init.constant_(parameter, torch.nan)
    assert torch.equal(network(styles, inputs), seen[40])


def test_without_skip_outputs_the_last_resolution_makes_the_output():
    network = synthesis(2, skip_outputs=False)
    assert len(network.outputs) == 1
    assert network(torch.randn(1, network.num_styles, 6), torch.randn(1, 2)).shape == (1, 3, 24, 24)


def test_all_layers_may_share_a_style():
    w = torch.randn(2, 6)
    assert torch.equal(repeat_styles(w, 4)[:, 3], w)
