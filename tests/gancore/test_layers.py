"""Layers keep their formulas and start where they should."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrize

from gancore.layers import (
    ResidualBlock,
    SelfAttention,
    build_group_norm,
    conv_nd,
    downsample2x,
    fold_spectral_norm,
    iter_weight_layers,
    leaky_relu,
    orthogonal_init_,
    spectral_norm_,
    upsample2x,
    zero_init_residual_,
)

either_dims = pytest.mark.parametrize("dims", [2, 3])
any_resample = pytest.mark.parametrize("resample", ["keep", "up", "down"])


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def odd_map(channels, dims, **options):
    """Two maps with sides of five, six and seven, or six and seven."""
    return torch.randn(2, channels, *(5, 6, 7)[-dims:], **options)


class Modulation(nn.Module):
    """A group norm whose output is scaled by a linear map of a condition."""

    def __init__(self, channels):
        super().__init__()
        self.norm, self.gain = build_group_norm(channels, affine=False), nn.Linear(6, channels, bias=False)

    def forward(self, x, condition):
        return self.norm(x) * (1 + self.gain(condition)[:, :, None, None])


class EveryLayer(nn.Module):
    """A network with every kind of layer that has a weight, conditioned on a class, from frames to scores."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(5, 6)
        self.in_space = ResidualBlock(3, 8, make_norm=Modulation)
        self.attention = SelfAttention(8)
        self.in_time = ResidualBlock(8, 8, dims=3, resample="down")
        self.score = nn.Linear(8, 1)

    def forward(self, x, labels):
        x = self.attention(self.in_space(x, self.embedding(labels)))
        return self.score(self.in_time(x[:, :, None]).mean((2, 3, 4)))


LABELS = torch.tensor([1, 4])


# ----------------------------------------------------------------------------------------------- residual blocks


@either_dims
@pytest.mark.parametrize(("resample", "size"), [("keep", (5, 6, 7)), ("up", (10, 12, 14)), ("down", (3, 3, 4))])
@pytest.mark.parametrize("outputs", [3, 4])
def test_a_block_keeps_doubles_or_halves_a_map_of_any_size(dims, resample, size, outputs):
    block = ResidualBlock(3, outputs, dims=dims, resample=resample)
    assert block(odd_map(3, dims)).shape == (2, outputs, *size[-dims:])


@either_dims
def test_pooling_before_the_shortcut_equals_pooling_after_it(dims):
    block = ResidualBlock(3, 4, dims=dims, resample="down", activation=leaky_relu).double()
    x = odd_map(3, dims, dtype=torch.float64)
    residual = block.conv2(leaky_relu(block.conv1(leaky_relu(x))))
    torch.testing.assert_close(block(x), downsample2x(residual + block.shortcut(x)))


@either_dims
def test_an_up_block_doubles_before_its_convolutions(dims):
    block = ResidualBlock(3, 4, dims=dims, resample="up").double()
    x = odd_map(3, dims, dtype=torch.float64)
    residual = block.conv2(torch.relu(block.conv1(torch.relu(upsample2x(x)))))
    torch.testing.assert_close(block(x), residual + block.shortcut(upsample2x(x)))


def test_halving_an_odd_map_keeps_its_last_row_and_column():
    x = torch.arange(9.0).view(1, 1, 3, 3)
    assert downsample2x(x).flatten().tolist() == [2.0, 3.5, 6.5, 8.0]


def test_halving_keeps_a_side_of_one():
    assert downsample2x(torch.randn(2, 3, 1, 4)).shape == (2, 3, 1, 2)
    assert downsample2x(torch.randn(2, 3, 1, 5, 1)).shape == (2, 3, 1, 3, 1)


@pytest.mark.parametrize("first", [True, False])
def test_only_a_first_block_sees_the_negative_half_of_its_input(first):
    block = ResidualBlock(2, 3, skip_first_activation=first)
    nn.init.zeros_(block.shortcut.weight)
    x = -torch.rand(1, 2, 4, 4)
    assert torch.equal(block(x), block(2 * x)) != first


def test_dropout_acts_in_training_alone():
    block, x = ResidualBlock(3, 4, dropout=0.5), odd_map(3, 2)
    assert not torch.equal(block(x), block(x))
    block.eval()
    assert torch.equal(block(x), block(x))


@any_resample
@either_dims
def test_a_block_with_a_zero_last_layer_starts_as_its_shortcut(dims, resample):
    block = zero_init_residual_(ResidualBlock(3, 4, dims=dims, resample=resample))
    x = odd_map(3, dims)
    resampled = {"keep": nn.Identity(), "up": upsample2x, "down": downsample2x}[resample](x)
    torch.testing.assert_close(block(x), block.shortcut(resampled))


def test_no_bias_stands_where_a_norm_or_a_relativistic_game_would_cancel_it():
    normed = ResidualBlock(8, 8, make_norm=build_group_norm)
    plain = ResidualBlock(8, 8)
    assert normed.conv1.bias is None
    assert normed.conv2.bias is None
    assert plain.conv2.bias is None


def test_a_block_hands_its_further_inputs_to_both_norms():
    block, x, condition = ResidualBlock(3, 4, make_norm=Modulation), odd_map(3, 2), torch.randn(2, 6)
    y = block.conv1(torch.relu(block.norm1(x, condition)))
    expected = block.conv2(torch.relu(block.norm2(y, condition))) + block.shortcut(x)
    assert torch.equal(block(x, condition), expected)


@pytest.mark.parametrize(("channels", "groups"), [(16, 8), (12, 6), (7, 7), (11, 1)])
def test_a_group_norm_has_as_many_groups_as_divide_its_channels(channels, groups):
    assert build_group_norm(channels).num_groups == groups


# ----------------------------------------------------------------------------------------------------- attention


def attention_by_hand(attention, x):
    """SAGAN's equations, position by position: softmax of query times key over all keys, then values so weighted."""
    query, key, value = attention.query(x), downsample2x(attention.key(x)), downsample2x(attention.value(x))
    result = torch.empty_like(x)
    for sample in range(len(x)):
        queries, keys, values = query[sample].flatten(1), key[sample].flatten(1), value[sample].flatten(1)
        for position in range(queries.shape[1]):
            weights = torch.exp(queries[:, position] @ keys)
            gathered = values @ (weights / weights.sum())
            projected = attention.out.weight.flatten(1) @ gathered
            result[sample].flatten(1)[:, position] = projected
    return x + attention.strength * result


@either_dims
@torch.no_grad()
def test_attention_follows_its_equations(dims):
    attention = SelfAttention(8, dims=dims).double()
    attention.strength.fill_(0.7)
    x = torch.randn(2, 8, *(2, 3, 5)[-dims:], dtype=torch.float64)
    torch.testing.assert_close(attention(x), attention_by_hand(attention, x), rtol=1e-12, atol=1e-12)


@either_dims
def test_attention_starts_as_nothing(dims):
    x = odd_map(8, dims)
    assert torch.equal(SelfAttention(8, dims=dims)(x), x)


def test_attention_can_be_differentiated_twice():
    attention = SelfAttention(8).double()
    attention.strength.data.fill_(0.7)
    x = torch.randn(1, 8, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(attention, x)


# --------------------------------------------------------------------------------- spectral norm, initialisation


def largest_singular_value(layer):
    return torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item()


def test_spectral_norm_brings_every_weight_to_a_largest_singular_value_of_one():
    network = spectral_norm_(EveryLayer())
    layers = list(iter_weight_layers(network))
    assert len(layers) == 13
    assert all(parametrize.is_parametrized(layer, "weight") for layer in layers)
    for _ in range(100):
        network(odd_map(3, 2), LABELS)
    network.eval()
    assert [largest_singular_value(layer) for layer in layers] == pytest.approx([1.0] * 13, abs=0.01)


def test_spectral_norm_learns_in_training_alone():
    network = spectral_norm_(EveryLayer()).eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    for _ in range(2):
        network(odd_map(3, 2), LABELS)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    network.train()(odd_map(3, 2), LABELS)
    changed = {name.rpartition(".")[2] for name, value in network.state_dict().items() if (before[name] != value).any()}
    assert changed == {"_u", "_v"}


def test_spectral_norm_is_folded_into_a_copy_that_does_the_same():
    network = spectral_norm_(EveryLayer())
    folded = fold_spectral_norm(network)
    x = odd_map(3, 2)
    assert folded.state_dict().keys() == EveryLayer().state_dict().keys()
    assert not folded.training
    assert network.training
    assert all(parametrize.is_parametrized(layer) for layer in iter_weight_layers(network))
    assert torch.equal(folded(x, LABELS), network.eval()(x, LABELS))


def test_orthogonal_weights_have_orthogonal_rows_or_columns_and_biases_are_zero():
    network = EveryLayer()
    for layer in iter_weight_layers(orthogonal_init_(network)):
        weight = layer.weight.flatten(1)
        gram = weight @ weight.T if weight.shape[0] <= weight.shape[1] else weight.T @ weight
        torch.testing.assert_close(gram, torch.eye(len(gram)), atol=1e-5, rtol=0)
    assert not network.score.bias.any()
    assert not network.in_time.conv1.bias.any()


@either_dims
def test_a_convolution_keeps_the_size_of_the_map(dims):
    x = odd_map(3, dims)
    for kernel in (1, 3, 5):
        assert conv_nd(dims, 3, 2, kernel=kernel)(x).shape == (2, 2, *x.shape[2:])


def test_leaky_relu_has_slope_one_fifth_below_zero():
    x = torch.tensor([-5.0, 0.0, 5.0])
    assert torch.equal(leaky_relu(x), F.leaky_relu(x, 0.2))
    assert leaky_relu(x).tolist() == [-1.0, 0.0, 5.0]
