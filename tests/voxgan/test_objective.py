"""Who moves by which term, what the terms are, and when the discriminator rests."""

from dataclasses import replace

import pytest
import torch
from support.toys import JUDGE, SIDE, batch, generator, image_to_voxels, judge, step_context

from gancore.config import ENERGY_LOSSES, PenaltyConfig
from gancore.losses import GAN_LOSSES
from gancore.rng import SampleRandom
from gancore.training.diagnostics import diagnose_players
from voxgan.config import VoxelAugmentConfig, VoxelObjectiveConfig, VoxelShape
from voxgan.data.dataset import UNKNOWN_CAMERA
from voxgan.networks.discriminator import VoxelDiscriminator
from voxgan.networks.image_to_voxels import ImageToVoxels
from voxgan.objective import VoxelObjective, reconstruction_loss, score_both

PLAIN = VoxelObjectiveConfig()
RECONSTRUCTIONS = ("mean_bce", "sum_bce", "l2", "soft_iou")
CLASSES = ("stool", "lamp")


def moved_by(terms: dict[str, torch.Tensor], *modules: torch.nn.Module) -> list[bool]:
    """Whether the sum of the terms has a gradient in any weight of each module."""
    loss, moved = sum(terms.values()), []
    for module in modules:
        gradients = torch.autograd.grad(loss, list(module.parameters()), retain_graph=True, allow_unused=True)
        moved.append(any(gradient is not None and bool(gradient.any()) for gradient in gradients))
    return moved


def test_reconstructions_have_the_reduction_their_names_say():
    logits, occupancy = torch.randn(3, 4, 4, 4, dtype=torch.float64), (torch.rand(3, 4, 4, 4) < 0.4).double()
    p = logits.sigmoid()
    entropy = -(occupancy * p.log() + (1 - occupancy) * (1 - p).log())
    expected = {
        "mean_bce": entropy.mean(),
        "sum_bce": entropy.sum() / 3,
        "l2": sum(((p - occupancy)[n] ** 2).sum() ** 0.5 for n in range(3)) / 3,
        "soft_iou": sum(1 - (p * occupancy)[n].sum() / (p + occupancy - p * occupancy)[n].sum() for n in range(3)) / 3,
    }
    assert set(expected) == set(RECONSTRUCTIONS)
    for name, value in expected.items():
        assert reconstruction_loss(logits, occupancy, by=name).item() == pytest.approx(value.item(), rel=1e-9)


def test_soft_iou_of_binary_grids_is_the_iou_and_nothing_at_all_is_no_division_by_zero():
    occupancy = torch.zeros(2, 4, 4, 4)
    occupancy[0, :2] = 1
    certain = (occupancy.roll(1, 1) - 0.5) * 1000
    assert reconstruction_loss(certain[:1], occupancy[:1], by="soft_iou").item() == pytest.approx(1 - 1 / 3, abs=1e-4)
    assert torch.isfinite(reconstruction_loss(certain[1:], occupancy[1:], by="soft_iou"))


def test_every_reconstruction_of_fractions_is_best_where_it_is_equal_to_them():
    fractions = torch.tensor([0.1, 0.5, 0.75, 0.9, 0.02, 0.3, 0.6, 0.98], dtype=torch.float64).view(1, 2, 2, 2)
    for name in RECONSTRUCTIONS:
        best = reconstruction_loss(fractions.logit(), fractions, by=name)
        for step in (-0.3, -0.01, 0.01, 0.3):
            assert reconstruction_loss(fractions.logit() + step, fractions, by=name) > best, (name, step)
    assert reconstruction_loss(fractions.logit(), fractions, by="soft_iou").item() == pytest.approx(0, abs=1e-12)


def test_soft_iou_of_binary_voxels_and_its_gradient_are_to_the_bit_those_of_the_product():
    logits = (30 * torch.randn(4, 8, 8, 8)).requires_grad_()  # some so large that probabilities are 0 or 1
    occupancy = (torch.rand(4, 8, 8, 8) < 0.3).float()
    p = logits.sigmoid()
    assert {0.0, 1.0} <= set(p.flatten().tolist())
    both = (p * occupancy).sum((1, 2, 3))
    product = (1 - both / ((p + occupancy).sum((1, 2, 3)) - both).clamp(min=1e-6)).mean()
    loss = reconstruction_loss(logits, occupancy, by="soft_iou")
    assert torch.equal(loss, product)
    gradients = [torch.autograd.grad(each, logits)[0] for each in (loss, product)]
    assert torch.equal(*gradients)


@pytest.mark.parametrize("name", RECONSTRUCTIONS)
def test_reconstructions_are_weighted_and_logged_by_their_names(name):
    weights = {f"{other}_weight": 0.0 for other in RECONSTRUCTIONS}
    ask = [VoxelObjective(replace(PLAIN, **(weights | {f"{name}_weight": weight}))) for weight in (1.0, 3.0)]
    once, thrice = (each.generator_terms(image_to_voxels(), judge(), batch(), step_context()) for each in ask)
    assert set(once) == {name, "kl", "adversarial"}
    assert thrice[name].item() == pytest.approx(3 * once[name].item(), rel=1e-5)


def test_the_three_steps_of_the_paper_move_what_they_should():
    network, judging = image_to_voxels(), judge()
    game = replace(PLAIN, update_order="three-step", loss="minimax", penalties=PenaltyConfig())
    three, joint = (VoxelObjective(each).generator_updates(network, judging) for each in (game, PLAIN))
    assert [(update.name, update.module) for update in three] == [
        ("encoder", network.encoder),
        ("generator", network.generator),
    ]
    assert [(update.name, update.module) for update in joint] == [("generator", network)]
    encoding = three[0].terms(batch(), step_context())
    assert set(encoding) == {"mean_bce", "kl"}
    assert moved_by(encoding, network.encoder) == [True]
    making = three[1].terms(batch(), step_context())
    assert set(making) == {"mean_bce", "adversarial"}
    judged = VoxelObjective(game).discriminator_terms(network, judging, batch(), step_context())
    assert moved_by(judged, judging, network) == [True, False]


def test_the_game_alone_leaves_the_encoder_in_peace():
    network, judging = image_to_voxels(), judge()
    terms = VoxelObjective(PLAIN).generator_terms(network, judging, batch(), step_context())
    assert moved_by({"adversarial": terms["adversarial"]}, network.generator, network.encoder) == [True, False]


def test_without_an_encoder_there_is_only_the_game():
    made, judging = generator(), judge()
    assert set(VoxelObjective(PLAIN).generator_terms(made, judging, batch(), step_context())) == {"adversarial"}
    judged = VoxelObjective(PLAIN).discriminator_terms(made, judging, batch(), step_context())
    assert set(judged) == {"adversarial", "r1", "r2"}
    assert moved_by(judged, judging, made) == [True, False]


@pytest.mark.parametrize("progress", [0.0, 0.05, 0.1, 0.2, 1.0])
def test_kl_rises_to_its_weight(progress):
    game = replace(PLAIN, kl_weight=2.0, kl_warmup=0.2)
    network = image_to_voxels()
    mean, log_variance, _ = network.encoder(batch().views)
    full = VoxelObjective(replace(game, view_subset="all", kl_warmup=0.0)).generator_terms(
        network, judge(), batch(), step_context()
    )["kl"]
    divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(1).mean()
    assert full.item() == pytest.approx(2 * divergence.item(), rel=1e-5)
    now = VoxelObjective(replace(game, view_subset="all")).generator_terms(
        network, judge(), batch(), step_context(progress=progress)
    )["kl"]
    assert now.item() == pytest.approx(min(progress / 0.2, 1) * full.item(), abs=1e-6)


def test_cameras_are_learnt_where_they_are_known_and_from_every_picture():
    toy = image_to_voxels()
    network = ImageToVoxels(replace(toy.encoder.config, cameras=True), toy.generator.config, toy.shape)
    given, game = batch(), replace(PLAIN, camera_weight=2.0, adversarial_weight=0.0)
    term = VoxelObjective(game).generator_terms(network, judge(), given, step_context())["cameras"]
    logits = network.encoder(given.views).cameras.flatten(0, 1).log_softmax(1)
    expected = -torch.stack([row[n] for row, n in zip(logits, given.cameras.flatten(), strict=True) if n >= 0]).mean()
    assert term.item() == pytest.approx(2 * expected.item(), rel=1e-5)
    assert moved_by({"cameras": term}, network.encoder, network.generator) == [True, False]
    unknown = replace(given, cameras=torch.full_like(given.cameras, UNKNOWN_CAMERA))
    assert VoxelObjective(game).generator_terms(network, judge(), unknown, step_context())["cameras"].item() == 0
    assert "cameras" not in VoxelObjective(game).generator_terms(toy, judge(), given, step_context())


def test_of_reconstructions_and_objects_from_noise_the_discriminator_sees_as_many(monkeypatch):
    network, judging, seen = image_to_voxels(), judge(), []
    game = VoxelObjective(replace(PLAIN, judge_reconstructions=True, view_subset="all", penalties=PenaltyConfig()))

    def score(objects, labels):
        assert labels is None
        seen.append(objects)
        return objects.mean((1, 2, 3))

    monkeypatch.setattr(judging, "forward", score)
    terms = game.generator_terms(network, judging, batch(), step_context())
    assert moved_by({"adversarial": terms["adversarial"]}, network.encoder, network.generator) == [True, True]
    (fake,) = [objects for objects in seen if objects.requires_grad]
    alone = VoxelObjective(replace(game.config, judge_reconstructions=False))
    seen.clear()
    terms = alone.generator_terms(network, judging, batch(), step_context())
    assert moved_by({"adversarial": terms["adversarial"]}, network.encoder, network.generator) == [False, True]
    (from_noise,) = [objects for objects in seen if objects.requires_grad]
    assert torch.equal(fake[::2], from_noise[::2])
    posterior = network.encoder(batch().views)
    noise = step_context().rng.normal(*posterior.mean.shape)
    assert torch.allclose(fake[1::2], network.generator(posterior.sample(noise)).sigmoid()[1::2], atol=1e-6)
    seen.clear()
    for each in (game, alone):
        assert "adversarial" in each.discriminator_terms(network, judging, batch(), step_context())
    both, from_noise = (objects[len(batch()) :] for objects in seen)
    assert torch.equal(both[::2], from_noise[::2])
    assert not torch.isclose(both[1::2], from_noise[1::2]).all(3).any()


def test_before_it_begins_the_game_rests():
    game = replace(PLAIN, adversarial_start=0.3)
    network = image_to_voxels()
    assert VoxelObjective(game).discriminator_terms(network, judge(), batch(), step_context(progress=0.29)) == {}
    assert "adversarial" not in VoxelObjective(game).generator_terms(
        network, judge(), batch(), step_context(progress=0.29)
    )
    assert "adversarial" in VoxelObjective(game).generator_terms(network, judge(), batch(), step_context(progress=0.31))


GATED = replace(PLAIN, discriminator_accuracy_gate=0.8, loss="minimax", penalties=PenaltyConfig())


def test_the_gate_looks_at_the_batch_before():
    objective, judging, moves = VoxelObjective(GATED), judge(), []
    for right in (0.5, 1.0, 0.9, 0.6, 0.8, 1.0):  # how well each batch is told apart
        moves.append(bool(objective.discriminator_terms(generator(), judging, batch(), step_context())))
        objective.gate.measured.copy_(torch.tensor([right, 1.0]))
        objective.constrain_discriminator(judging)
    assert moves == [True, True, False, False, True, True]


def test_a_resting_discriminator_still_measures_and_so_comes_back():
    objective, judging = VoxelObjective(GATED), judge()
    objective.gate.accuracy.fill_(1.0)
    torch.nn.init.zeros_(judging.score.weight)  # it tells nothing apart now
    assert objective.discriminator_terms(generator(), judging, batch(), step_context()) == {}
    objective.constrain_discriminator(judging)
    assert objective.gate.accuracy == 0.0
    assert objective.discriminator_terms(generator(), judging, batch(), step_context())


def test_without_a_gate_nothing_is_measured():
    objective = VoxelObjective(PLAIN)
    objective.discriminator_terms(generator(), judge(), batch(), step_context())
    assert not objective.gate.measured.any()


def test_accuracy_is_the_share_of_real_above_and_fake_below_even_odds():
    gate = VoxelObjective(GATED).gate
    real, fake = torch.tensor([1.0, -1.0, 2.0, 3.0]), torch.tensor([-1.0, 1.0, 1.0, 1.0])
    gate.measure(real, fake, mean_over_processes=step_context().mean_over_processes)
    gate.finish_batch()
    assert gate.accuracy == 0.5
    assert not gate.measured.any()


@pytest.mark.parametrize("gate", [0.0, 1.0, -0.5, 2.0])
def test_a_gate_that_never_or_always_closes_is_refused(gate):
    with pytest.raises(ValueError, match="discriminator_accuracy_gate must lie in"):
        VoxelObjectiveConfig(discriminator_accuracy_gate=gate)


def test_some_classes_are_not_told():
    made, labels = generator(CLASSES), batch(64).labels
    told = VoxelObjective(replace(PLAIN, label_dropout=0.25))._labels(made, batch(64), step_context())
    assert ((told == labels) | (told == 2)).all()
    assert 4 <= (told == 2).sum() <= 28
    assert VoxelObjective(PLAIN)._labels(generator(), batch(), step_context()) is None


def test_a_random_number_of_views_is_seen_or_all():
    network, shown = image_to_voxels(), batch(32, views=3)
    every = VoxelObjective(replace(PLAIN, view_subset="all"))._posterior(network, shown, step_context()).log_variance
    some = VoxelObjective(PLAIN)._posterior(network, shown, step_context()).log_variance
    same = torch.isclose(every, some).all(1)
    assert 3 <= same.sum() <= 22
    assert (some[~same] > every[~same]).all()


def test_weights_are_clipped_if_so_asked():
    judging = judge()
    VoxelObjective(replace(PLAIN, clip_weights=0.01)).constrain_discriminator(judging)
    assert max(parameter.abs().max() for parameter in judging.parameters()) <= 0.01


def test_augmentation_and_noise_reach_real_and_generated_alike():
    real = batch(64).occupancy
    game = VoxelObjective(replace(PLAIN, augment=VoxelAugmentConfig(probability=1.0, soften=True)))
    a, b = game._perturb(real, real.clone(), step_context())
    assert torch.equal(a, b)
    assert not torch.equal(a, real)
    noisy, _ = VoxelObjective(replace(PLAIN, instance_noise=0.2))._perturb(real, real, step_context(progress=0.5))
    assert (noisy - real).std().item() == pytest.approx(0.1, rel=0.05)


@pytest.mark.parametrize("pair", [name for name in GAN_LOSSES if name not in ENERGY_LOSSES])
def test_every_pair_plays_at_batch_one(pair):
    game = replace(PLAIN, loss=pair, penalties=PenaltyConfig(gradient_penalty=10.0))
    network = image_to_voxels()
    terms = [
        *VoxelObjective(game).discriminator_terms(network, judge(), batch(1), step_context()).values(),
        *VoxelObjective(game).generator_terms(network, judge(), batch(1), step_context()).values(),
    ]
    assert all(torch.isfinite(term) for term in terms)


def test_the_latent_of_a_reconstruction_is_drawn_from_the_posterior():
    network = image_to_voxels()
    terms = [
        VoxelObjective(replace(PLAIN, view_subset="all")).generator_terms(
            network, judge(), batch(), step_context(seed=s)
        )
        for s in (0, 0, 1)
    ]
    assert terms[0]["mean_bce"] == terms[1]["mean_bce"]
    assert terms[0]["mean_bce"] != terms[2]["mean_bce"]


@pytest.mark.parametrize("classes", [(), ("stool", "lamp")])
@pytest.mark.parametrize("make", [image_to_voxels, generator])
def test_what_a_game_over_objects_shows_of_its_players(make, classes):
    game, model, discriminator, objects = VoxelObjective(PLAIN), make(classes), judge(classes), batch(4)
    made = game.generate_outputs(model, objects, SampleRandom(1), samples=2)
    assert made.shape == (4, 2, *game.real_outputs(objects).shape[1:])
    assert 0 <= made.min() < made.max() <= 1
    assert not torch.equal(made[:, 0], made[:, 1])
    scores = game.score_outputs(discriminator, objects, game.real_outputs(objects), SampleRandom(0))
    assert torch.equal(scores, discriminator(objects.occupancy, objects.labels if classes else None))
    signs = diagnose_players(
        game, model, discriminator, training_batches=[objects], held_out_batches=[objects], rng=SampleRandom(0)
    )
    assert signs["health/memorised"] == 0
    assert {"health/diversity", "health/noise", "health/error", "health/gap"} < signs.keys()


def test_with_batch_norm_generated_objects_have_the_scores_that_the_generator_learns_from():
    torch.manual_seed(0)
    discriminator = VoxelDiscriminator(replace(JUDGE, norm="batch"), VoxelShape(side=SIDE)).train()
    real = batch().occupancy
    fake = real.flip(1) / 2
    scores = score_both(discriminator, real, fake=fake, labels=None)
    torch.testing.assert_close(scores, (discriminator(real), discriminator(fake)))
    assert not torch.allclose(discriminator(torch.cat([real, fake])).chunk(2)[1], scores[1])  # it does matter


def test_without_batch_norm_it_makes_no_difference_with_whom_an_object_is_scored():
    discriminator, objects = judge(), batch().occupancy
    apart = discriminator(objects), discriminator(objects.flip(1))
    torch.testing.assert_close(score_both(discriminator, objects, fake=objects.flip(1), labels=None), apart)
