"""Games whose discriminator is an autoencoder: the balance of its energies, and the distance between codes."""

from functools import partial

import pytest
import torch

from gancore.adversarial import AdversarialGame, EnergyBalance
from gancore.config import (
    AdversarialConfig,
    EnergyConfig,
    EquilibriumConfig,
    PenaltyConfig,
    TrainConfig,
    check_whole_batch,
)
from gancore.losses import make_gan_loss, pulling_away
from gancore.training.alarms import SUSTAINED_LINES, AlarmMonitor


def scores(*energies: float) -> torch.Tensor:
    return -torch.tensor(energies, dtype=torch.float64)


def balanced(config: EquilibriumConfig, *, real: float, fake: float, batches: int) -> EnergyBalance:
    balance = EnergyBalance(config).double()
    for _ in range(batches):
        balance.measure(scores(real - 0.01, real + 0.01), scores(fake, fake), mean_over_processes=torch.clone)
        balance.finish_batch()
    return balance


def test_the_weight_of_fakes_grows_by_a_thousandth_of_what_the_energies_are_out_of_balance():
    balance = balanced(EquilibriumConfig(gamma=0.5), real=0.1, fake=0.02, batches=1000)
    assert balance.fake_weight.item() == pytest.approx(0.03, abs=1e-6)
    numbers = balance.measurements()
    assert numbers["convergence"] == pytest.approx(0.1 + abs(0.5 * 0.1 - 0.02), abs=1e-6)
    assert (numbers["real"], numbers["fake"]) == pytest.approx((0.1, 0.02), abs=1e-6)


def test_the_weight_of_fakes_stays_between_0_and_1():
    assert balanced(EquilibriumConfig(rate=1.0), real=9.0, fake=0.1, batches=3).fake_weight == 1
    assert balanced(EquilibriumConfig(rate=1.0), real=0.1, fake=9.0, batches=3).fake_weight == 0


def test_a_batch_in_parts_moves_the_weight_as_the_whole_does_and_no_batch_not_at_all():
    whole, parts = (EnergyBalance(EquilibriumConfig(rate=0.5)) for _ in range(2))
    whole.measure(scores(1.0, 2.0, 3.0, 4.0), scores(0.1, 0.2, 0.3, 0.4), mean_over_processes=torch.clone)
    for real, fake in ((scores(1.0, 2.0), scores(0.1, 0.2)), (scores(3.0, 4.0), scores(0.3, 0.4))):
        parts.measure(real, fake, mean_over_processes=torch.clone)
    for balance in (whole, parts, parts):
        balance.finish_batch()
    assert parts.fake_weight.item() == pytest.approx(0.5 * (0.5 * 2.5 - 0.25))
    assert parts.fake_weight.item() == pytest.approx(whole.fake_weight.item())


def test_the_discriminator_of_an_equilibrium_pushes_fakes_with_the_weight_of_the_balance():
    game, balance = AdversarialGame(AdversarialConfig(loss="equilibrium")), EnergyBalance(EquilibriumConfig())
    balance.fake_weight.fill_(0.25)
    lose = partial(game.discriminator_loss, mean_over_processes=torch.clone, balance=balance)
    assert lose(scores(1.0, 3.0), scores(4.0, 8.0)).item() == pytest.approx(2.0 - 0.25 * 6.0)


def test_a_fake_whose_energy_is_above_the_margin_is_left_alone():
    pair, fake = make_gan_loss("energy", margin=0.5), scores(0.2, 0.7).requires_grad_()
    (gradient,) = torch.autograd.grad(pair.discriminator_loss(scores(0.1, 0.1), fake), fake)
    assert gradient.tolist() == [0.5, 0.0]
    assert pair.discriminator_loss(scores(0.1, 0.1), fake).item() == pytest.approx(0.1 + (0.3 + 0) / 2)


def test_codes_at_right_angles_cost_nothing_and_parallel_ones_cost_1_whichever_way_they_point():
    code = torch.randn(7, dtype=torch.float64)
    assert pulling_away(5 * torch.eye(4, 6)).item() == pytest.approx(0, abs=1e-6)
    assert pulling_away(torch.stack([code, 3 * code, code])).item() == pytest.approx(1)
    assert pulling_away(torch.stack([code, -2 * code])).item() == pytest.approx(1)
    assert pulling_away(code[None]) == 0


def test_the_distance_of_codes_is_the_mean_squared_cosine_of_their_pairs_with_its_gradient():
    codes = torch.randn(5, 2, 3, dtype=torch.float64, requires_grad=True)
    rows = codes.flatten(1)
    cosines = [torch.cosine_similarity(rows[i], rows[j], dim=0) for i in range(5) for j in range(5) if i != j]
    torch.testing.assert_close(pulling_away(codes), torch.stack(cosines).square().mean())
    assert torch.autograd.gradcheck(pulling_away, codes)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"loss": "energy", "penalties": PenaltyConfig(r1=1.0)}, r"penalties\.r1 must be 0 for the energy loss, got 1"),
        ({"loss": "equilibrium", "clip_weights": 0.1}, "clip_weights is for critics"),
        ({"loss": "equilibrium", "label_smoothing": 0.1}, "has no targets to smooth"),
        (
            {"loss": "hinge", "energy": EnergyConfig(margin=1.0)},
            "energy has settings of the energy loss, and loss is h",
        ),
        ({"loss": "energy", "equilibrium": EquilibriumConfig(gamma=0.7)}, "equilibrium has settings of the equilib"),
    ],
)
def test_what_makes_no_sense_with_an_autoencoder_is_refused(options, complaint):
    with pytest.raises(ValueError, match=complaint):
        AdversarialConfig(**options)


@pytest.mark.parametrize(
    ("config", "name", "value"),
    [
        (EnergyConfig, "margin", 0.0),
        (EnergyConfig, "pulling_away_weight", -1.0),
        (EquilibriumConfig, "gamma", 1.5),
        (EquilibriumConfig, "rate", 0.0),
    ],
)
def test_settings_out_of_range_are_refused_by_name(config, name, value):
    with pytest.raises(ValueError, match=f"{name} must"):
        config(**{name: value})


def test_only_codes_that_are_pulled_apart_need_a_whole_batch():
    parts = TrainConfig(gradient_accumulation_steps=2)
    check_whole_batch(AdversarialConfig(loss="equilibrium"), parts)
    check_whole_batch(AdversarialConfig(loss="energy", energy=EnergyConfig(pulling_away_weight=0.0)), parts)
    with pytest.raises(ValueError, match="gradient_accumulation_steps must be 1 for the energy loss"):
        check_whole_batch(AdversarialConfig(loss="energy"), parts)


def test_small_energies_are_no_victory_of_the_discriminator():
    watch, loss = AlarmMonitor(), {"discriminator/clip": 0.001, "generator/clip": 0.002}
    for _ in range(2 * SUSTAINED_LINES):
        assert not watch.observe(loss | {"energy/clip/real": 0.001})
