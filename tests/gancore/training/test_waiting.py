"""Between two lines of the log no step of a training waits for the device."""

from dataclasses import replace

import pytest
import torch
from support import resuming, tiny, toys
from support.training_voxels import GAMES, SMALL
from support.waiting import MetaAccelerator, no_waiting, play

from gancore.adversarial import AccuracyGate
from gancore.config import PenaltyConfig
from gancore.features.weights import find_weights
from gancore.parsing import parse_config
from vidgan.data_config import VideoDataConfig
from vidgan.objective import VideoObjective
from voxgan.config import VoxelConfig


@pytest.fixture(autouse=True)
def _on_the_meta_device(monkeypatch):
    for support in (tiny, toys, resuming):
        monkeypatch.setattr(support, "create_accelerator", lambda config: MetaAccelerator(cpu=config.cpu))


@pytest.mark.parametrize(
    ("name", "context", "options"),
    [
        ("modern", 2, {"max_grad_norm": 1.0}),
        ("modern", 0, {"discriminator_steps": 2, "gradient_accumulation_steps": 2}),
        ("paper", 0, {"ema_start": 1}),
        pytest.param("paper", 2, {}, marks=pytest.mark.slow),
        ("trivd", 2, {"channels_last": True}),
        pytest.param("splat", 3, {}, marks=pytest.mark.slow),
    ],
)
def test_no_step_of_a_training_of_clips_waits_for_the_device(tmp_path, name, context, options):
    data = VideoDataConfig(path="", channels=3, height=16, width=16, context_frames=context, clip_frames=context + 2)
    play(tiny.game(name, tmp_path, data=data, **options), steps=1 if context else 2)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("sprites", {"trajectory_weight": 1.0, "reconstruction_weight": 1.0, "reconstruction_samples": 2}),
        (
            "splat",
            {"displacement_weight": 1.0, "reconstruction_distance": "crps", "reconstruction_samples": 2}
            | {"typical_weight": 1.0, "adversarial_weight": 0.0, "reconstruction_relative": True},
        ),
        ("modern", {"instance_noise": 0.1, "penalties": PenaltyConfig(r1=1.0, finite_difference_sigma=0.1)}),
        ("modern", {"loss": "wasserstein", "penalties": PenaltyConfig(gradient_penalty=10.0), "clip_weights": 0.1}),
        ("modern", {"perceptual_weight": 1.0, "reconstruction_scales": 3, "adversarial_weight": 0.0}),
    ],
)
def test_no_term_of_a_training_of_clips_waits_for_the_device(tmp_path, name, changes):
    if "perceptual_weight" in changes:
        try:
            find_weights("efficientnet")
        except FileNotFoundError as missing:
            pytest.skip(str(missing))
    data = VideoDataConfig(path="", channels=3, height=16, width=16, context_frames=3, clip_frames=5)
    trained = tiny.game(name, tmp_path, data=data)
    reconstruction = {"reconstruction_weight": 1.0}
    trained.objective = VideoObjective(replace(tiny.preset("modern").objective, **reconstruction | changes))
    if trained.objective.perceptual_network is not None:
        trained.objective.perceptual_network.to("meta")
    play(trained, flow=bool(changes.get("displacement_weight")))


ENERGIES = (
    *("--discriminator.score", "reconstruction", "--discriminator.code_channels", "2"),
    *("--objective.penalties.r1", "0", "--objective.penalties.r2", "0", "--objective.loss"),
)


@pytest.mark.parametrize(
    "flags",
    [
        ("--objective.loss", "relativistic-average", "--discriminator.score", "patches"),
        (*ENERGIES, "energy"),
        (*ENERGIES, "equilibrium"),
    ],
)
def test_no_pair_of_losses_waits_for_the_device(tmp_path, flags):
    play(resuming.trainer(tmp_path, *flags))


VOXELS = GAMES | {
    "three-step": [
        flag for flag in GAMES["three-step"] if flag not in ("--objective.discriminator_accuracy_gate", "0.6")
    ],
    "clipped": ["--objective.loss=wasserstein", "--objective.clip_weights=0.05", "--objective.penalties.lazy_every=2"],
    "augmented": [
        *("--objective.view_subset=random", "--objective.augment.soften", "--objective.augment.probability=0.5"),
        *("--objective.soft_iou_weight=1", "--objective.instance_noise=0.1", "--train.max_grad_norm=1"),
    ],
    "batch-norm": ["--generator.norm=batch", "--discriminator.norm=batch", "--discriminator.spectral_norm"],
}


@pytest.mark.parametrize("game", VOXELS)
def test_no_step_of_a_training_of_objects_waits_for_the_device(tmp_path, game):
    source = toys.packed(tmp_path / "boxes", count=16)
    flags = ["--data.path", str(source), "--run", str(tmp_path / "run"), *SMALL, *VOXELS[game]]
    play(toys.trainer(parse_config(VoxelConfig, flags)))


@pytest.mark.parametrize("threshold", [None, 0.8])
def test_a_gate_waits_for_nothing_but_its_decision_and_for_that_only_if_it_has_to_decide(threshold):
    gate, scores = AccuracyGate(threshold).to("meta"), torch.zeros(4, device="meta")
    with no_waiting():
        gate.measure(scores, scores, mean_over_processes=torch.clone)
        gate.finish_batch()
        if threshold is None:
            assert not gate.is_closed()
        else:
            with pytest.raises(RuntimeError, match="meta"):
                gate.is_closed()


WAITS = {
    "a number": lambda x: x.sum().item(),
    "a condition": lambda x: bool(x.sum() > 0),
    "a list": lambda x: x.tolist(),
    "a copy back": lambda x: x.cpu(),
    "a mask": lambda x: x[x > 0],
    "places": lambda x: x.nonzero(),
    "a list to the device": lambda x: x + x.new_tensor([1.0, 2.0]),
    "numbers to the device": lambda x: x + torch.tensor([1.0, 2.0], device=x.device),
    "a copy to the device": lambda x: x + torch.ones(2).to(x.device),
    "indices on the CPU": lambda x: x[torch.tensor([1, 0])],
}


@pytest.mark.parametrize("wait", WAITS)
def test_whatever_waits_for_a_device_is_seen(wait):
    x = torch.ones(2, device="meta")
    with no_waiting(), pytest.raises((AssertionError, RuntimeError, NotImplementedError)):
        WAITS[wait](x)
