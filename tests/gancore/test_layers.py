"""Layers keep their formulas and start where they should; a sample never sees its neighbours, nor a frame another."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrize

from gancore.layers import (
    ConditionalNorm,
    ResidualBlock,
    SelfAttention,
    TimestepBatchNorm,
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


class EveryLayer(nn.Module):
    """A network with every kind of layer that has a weight, conditioned on a class, from frames to scores."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(5, 6)
        self.in_space = ResidualBlock(3, 8, make_norm=lambda channels: ConditionalNorm(channels, 6))
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
    normed = ResidualBlock(8, 8, make_norm=lambda channels: ConditionalNorm(channels, 2))
    plain = ResidualBlock(8, 8)
    assert normed.conv1.bias is None
    assert normed.conv2.bias is None
    assert plain.conv2.bias is None


# --------------------------------------------------------------------------------------------------------- norms


def test_timestep_batch_norm_is_batch_norm_of_each_timestep_in_training_and_after_it():
    ours, theirs = TimestepBatchNorm(4, 3), [nn.BatchNorm2d(4, affine=False) for _ in range(3)]
    for _ in range(5):
        clips = torch.randn(6, 3, 4, 5, 5) * 3 + 1
        expected = torch.stack([norm(clips[:, t]) for t, norm in enumerate(theirs)], 1)
        torch.testing.assert_close(ours(clips.flatten(0, 1), 6), expected.flatten(0, 1))
    for norm in (ours, *theirs):
        norm.eval()
    expected = torch.stack([norm(clips[:, t]) for t, norm in enumerate(theirs)], 1)
    torch.testing.assert_close(ours(clips.flatten(0, 1), 6), expected.flatten(0, 1))


def test_a_frame_tells_the_others_nothing_through_timestep_batch_norm():
    norm, other_norm = TimestepBatchNorm(4, 3), TimestepBatchNorm(4, 3)
    clips = torch.randn(6, 3, 4, 5, 5)
    changed = clips.clone()
    changed[:, 1] += 5 * torch.randn_like(changed[:, 1])
    before, after = (n(c.flatten(0, 1), 6).unflatten(0, (6, 3)) for n, c in ((norm, clips), (other_norm, changed)))
    same = [torch.equal(before[:, t], after[:, t]) for t in range(3)]
    assert same == [True, False, True]
    assert [torch.equal(norm.mean[t], other_norm.mean[t]) for t in range(3)] == same
    assert [torch.equal(norm.variance[t], other_norm.variance[t]) for t in range(3)] == same


def trained_timestep_norm():
    norm = TimestepBatchNorm(4, 3)
    for _ in range(3):
        norm(torch.randn(18, 4, 5, 5) * 3 + 1, 6)
    return norm.eval()


def test_timestep_batch_norm_after_training_knows_no_batch_and_learns_nothing():
    norm, clips = trained_timestep_norm(), torch.randn(2, 3, 4, 5, 5)
    before = {name: value.clone() for name, value in norm.state_dict().items()}
    together = norm(clips.flatten(0, 1), 2)
    torch.testing.assert_close(torch.cat([norm(clip, 1) for clip in clips]), together)
    assert all(torch.equal(before[name], value) for name, value in norm.state_dict().items())


def test_timesteps_past_the_last_one_trained_use_its_statistics():
    norm, frame = trained_timestep_norm(), torch.randn(1, 4, 5, 5)
    long = norm(frame.repeat(5, 1, 1, 1), 1)
    assert torch.equal(long[3], long[2])
    assert torch.equal(norm(frame, 1, start=40)[0], long[2])
    assert not torch.equal(long[1], long[2])


def test_a_clip_may_be_normalised_in_segments():
    norm, clips = trained_timestep_norm(), torch.randn(2, 3, 4, 5, 5)
    head, tail = norm(clips[:, :1].flatten(0, 1), 2), norm(clips[:, 1:].flatten(0, 1), 2, start=1)
    in_segments = torch.cat([head.unflatten(0, (2, 1)), tail.unflatten(0, (2, 2))], 1)
    torch.testing.assert_close(in_segments.flatten(0, 1), norm(clips.flatten(0, 1), 2))


@pytest.mark.parametrize("spectral", [False, True])
def test_a_conditional_norm_starts_with_gains_near_one_and_offsets_near_zero_that_are_not_correlated(spectral):
    norm = orthogonal_init_(ConditionalNorm(64, 120))
    norm = spectral_norm_(norm) if spectral else norm
    x, condition = torch.randn(32, 64, 4, 4), torch.randn(32, 120)
    normalised, plus, minus = norm.norm(x), norm(x, condition), norm(-x, condition)
    gain, offset = ((plus - minus) / (2 * normalised))[:, :, 0, 0].flatten(), ((plus + minus) / 2)[:, :, 0, 0].flatten()
    assert abs(gain.mean() - 1) < 0.05
    assert abs(offset.mean()) < 0.05
    assert 0.01 < gain.std() < 0.3
    assert 0.01 < offset.std() < 0.3
    assert abs(torch.corrcoef(torch.stack([gain, offset]))[0, 1]) < 0.1


@pytest.mark.parametrize("timesteps", [None, 3])
def test_a_conditional_norm_with_gain_one_and_offset_zero_is_the_plain_norm(timesteps):
    norm = ConditionalNorm(8, 5, timesteps=timesteps, groups=2)
    nn.init.zeros_(norm.affine.weight)
    clips = torch.randn(4, 3, 8, 5, 5)
    expected = [nn.BatchNorm2d(8)(clips[:, t]) if timesteps else nn.GroupNorm(2, 8)(clips[:, t]) for t in range(3)]
    torch.testing.assert_close(norm(clips.flatten(0, 1), torch.randn(4, 5)), torch.stack(expected, 1).flatten(0, 1))


def test_every_frame_is_modulated_by_its_own_clip():
    norm, clips, conditions = ConditionalNorm(8, 5), torch.randn(4, 3, 8, 5, 5), torch.randn(4, 5)
    together = norm(clips.flatten(0, 1), conditions).unflatten(0, (4, 3))
    alone = torch.stack([norm(clip, condition[None]) for clip, condition in zip(clips, conditions, strict=True)])
    torch.testing.assert_close(together, alone)


def test_the_batch_free_norm_keeps_samples_apart_to_the_bit():
    norm, clips, conditions = ConditionalNorm(8, 5), torch.randn(4, 3, 8, 5, 5), torch.randn(4, 5)
    before = norm(clips.flatten(0, 1), conditions).unflatten(0, (4, 3))
    clips[2], conditions[2] = torch.randn(3, 8, 5, 5), torch.randn(5)
    after = norm(clips.flatten(0, 1), conditions).unflatten(0, (4, 3))
    assert [torch.equal(x, y) for x, y in zip(before, after, strict=True)] == [True, True, False, True]


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
