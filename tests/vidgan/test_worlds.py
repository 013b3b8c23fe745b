"""World models: simulation step by step, rollouts from files, evaluation with true and shuffled actions."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from support.tiny import SHAPE, clips, predictor, preset

from gancore.data import Sample
from gancore.rng import SampleRandom
from vidgan.build import build_generator
from vidgan.commands import EvaluateConfig
from vidgan.data.batch import collate
from vidgan.data.dataset import open_dataset
from vidgan.data.synthetic.sprite_world import TOP_SPEED, bounce
from vidgan.data_config import VideoDataConfig
from vidgan.evaluation.evaluate import evaluate
from vidgan.evaluation.summary import format_summary
from vidgan.files.video import read_clip
from vidgan.networks.generator import FramePredictor
from vidgan.objective import sample_futures
from vidgan.rollout import roll_out
from vidgan.rollout_config import RolloutConfig
from vidgan.simulation import begin_world, run_world
from vidvox.cli import main

ACTED = replace(SHAPE, actions=2)
WORLD = VideoDataConfig(
    path="sprite-world", actions=2, height=16, width=16, channels=1, clip_frames=5, context_frames=2
)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    predictor("modern", ACTED).save_pretrained(folder / "model")
    return str(folder / "model")


def frames_of(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(256, size=(count, 16, 16, 1), dtype=np.uint8)


# ---------------------------------------------------------------------------------------------------- the sprite world


def test_an_action_moves_the_disc_by_a_known_vector():
    """The centre of what is red alone, by regression on the action: slope TOP_SPEED, almost no rest."""
    data = VideoDataConfig(path="sprite-world", actions=2, clip_frames=30, context_frames=2)
    clips_of_world, moves, chosen = open_dataset(data, split="test"), [], []
    for index in range(6):
        scene = clips_of_world.draw(np.random.default_rng(index), commands := np.zeros((30, 2)))
        commands[:] = np.random.default_rng(index).uniform(-1, 1, (30, 2)) * 0.5
        scene = clips_of_world.draw(np.random.default_rng(index), commands)
        path = scene.layers[-1].placement[:, :2, 2]
        free = (np.abs(path) < 20).all(1)  # away from the borders
        free = free[:-1] & free[1:]
        moves.append(np.diff(path, axis=0)[free])
        chosen.append(commands[:-1][free])
    assert np.allclose(np.concatenate(moves), TOP_SPEED * np.concatenate(chosen))


def test_the_world_is_the_same_for_the_same_seed_and_its_splits_differ():
    test, train = (open_dataset(WORLD, split=split) for split in ("test", "train"))
    first, again = test[Sample(3, 0)], test[Sample(3, 1)]
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[4], again[4])
    assert not torch.equal(first[0], train[Sample(3, 3)][0])
    assert first[4].shape == (5, 2)
    assert first[4].abs().max() <= 1


def test_without_actions_the_world_does_not_say_where_the_disc_was_sent():
    plain, told = (open_dataset(replace(WORLD, actions=size), split="test")[Sample(0, 0)] for size in (0, 2))
    assert len(plain) == 2
    assert torch.equal(plain[0], told[0])


def test_the_box_is_thrown_back_at_the_border():
    path = bounce(np.array([3.0, 0.0]), np.array([0.0, 1.0]), np.array([7.0, 7.0]), frames=12)
    assert path[:6, 0].tolist() == [0, 3, 6, 5, 2, -1]
    assert np.abs(path).max() <= 7
    assert (path[:, 1] == 1).all()


# ------------------------------------------------------------------------------------------------------------ training


def test_a_batch_hands_the_actions_that_lead_to_the_future_to_the_model():
    world = open_dataset(WORLD, split="test")
    batch = collate([world[Sample(index, 0)] for index in range(2)], 2).to("cpu")
    assert torch.equal(batch.future_actions, torch.stack([world[Sample(index, 0)][4] for index in range(2)])[:, 1:4])
    assert torch.equal(batch[1:].actions, batch.actions[1:])
    acted, latents = predictor("modern", ACTED), SampleRandom(0)
    futures = sample_futures(acted, batch, latents, samples=1)
    other = replace(batch, actions=-batch.actions)
    assert not torch.equal(futures, sample_futures(acted, other, SampleRandom(0), samples=1))
    plain = predictor("modern", SHAPE)
    assert torch.equal(
        sample_futures(plain, batch, SampleRandom(0), samples=1),
        sample_futures(plain, other, SampleRandom(0), samples=1),
    )
    with pytest.raises(ValueError, match="follows actions"):
        sample_futures(acted, replace(batch, actions=None), SampleRandom(0), samples=1)


def test_a_training_builds_a_model_that_follows_the_actions_of_its_data():
    tiny = preset("modern")
    config = replace(tiny, data=WORLD, discriminator=replace(tiny.discriminator, spatial_frames=2))
    assert build_generator(config).shape.actions == 2
    with pytest.raises(ValueError, match="sprites follow no actions"):
        replace(config, generator=replace(config.generator, output="sprites"))


# ---------------------------------------------------------------------------------------------------------- simulation


def test_a_simulation_makes_the_frames_of_a_prediction_and_goes_on_without_end():
    model, past = predictor("modern", ACTED), ((clips(1)[:, :2] + 1) * 127.5).round().to(torch.uint8)
    actions = torch.randn(1, 9, 2, generator=torch.Generator().manual_seed(0))
    rolled = torch.stack(list(run_world(model, begin_world(model, past), actions)), 1)
    whole = model.predict(past[0], 9, actions[0], truncation=0.0)
    assert (rolled.int() - whole.int()).abs().max() <= 1
    refreshed = torch.stack(list(run_world(model, begin_world(model, past), actions, refresh=3)), 1)
    assert torch.equal(refreshed[:, :3], rolled[:, :3])
    again = torch.stack(list(run_world(model, begin_world(model, refreshed[:, 1:3]), actions[:, 3:])), 1)
    assert (refreshed[:, 3:6].int() - again[:, :3].int()).abs().max() <= 1


def test_worlds_of_a_batch_do_not_depend_on_each_other():
    model, past = predictor("modern", ACTED), ((clips(2)[:, :2] + 1) * 127.5).round().to(torch.uint8)
    actions = torch.randn(2, 4, 2, generator=torch.Generator().manual_seed(0))
    both = torch.stack(list(run_world(model, begin_world(model, past), actions)), 1)
    alone = torch.stack(list(run_world(model, begin_world(model, past[:1]), actions[:1])), 1)
    assert (both[:1].int() - alone.int()).abs().max() <= 1


# ------------------------------------------------------------------------------------------------------ vidvox rollout


def test_an_episode_is_rolled_out_by_its_own_actions_and_compared(model, tmp_path):
    actions = np.random.default_rng(0).normal(size=(9, 2))
    np.savez(tmp_path / "walk.npz", frames=frames_of(10), actions=actions)
    config = RolloutConfig(clip=tmp_path / "walk.npz", model=model, out=tmp_path / "out.npy", cpu=True, refresh=0)
    summary = roll_out(config)
    assert summary.steps == 8
    assert summary.psnr is not None
    made = read_clip(config.out, channels=1).frames
    plan = torch.from_numpy(actions[1:]).float()
    past = torch.from_numpy(frames_of(10)[:2]).permute(0, 3, 1, 2)
    whole = FramePredictor.from_pretrained(model).predict(past, 8, plan, truncation=0.0)
    assert (made.int() - whole[0].int()).abs().max() <= 1


def test_a_plan_goes_on_after_the_last_frame_for_as_many_steps_as_it_has(model, tmp_path, capsys):
    np.save(tmp_path / "clip.npy", frames_of(4))
    np.save(tmp_path / "plan.npy", np.zeros((20, 2), np.float32))
    words = ["rollout", f"{tmp_path}/clip.npy", "-m", model, "--actions", f"{tmp_path}/plan.npy", "--cpu"]
    main([*words, "-o", f"{tmp_path}/out.mp4"])
    assert "20 frames" in capsys.readouterr().out
    assert (tmp_path / "out.mp4").is_file()
    main([*words, "-o", f"{tmp_path}/out.npy", "--steps", "7"])
    assert np.load(tmp_path / "out.npy").shape[0] == 7


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["clip.npy"], "comes without actions"),
        (["gone.npy"], "no such file or folder"),
        (["clip.npy", "--actions", "gone.csv"], "no such file"),
        (["clip.npy", "--actions", "wide.npy"], "actions of 3 numbers, not of 2"),
        (["clip.npy", "--actions", "plan.npy", "--steps", "9"], "steps is 9, and there are 5 actions"),
        (["clip.npy", "--actions", "plan.npy", "--start", "1"], "start must lie in"),
        (["clip.npy", "--actions", "plan.npy", "-o", "plan.npy", "--overwrite"], "plan.npy"),
        (["clip.npy", "--actions", "plan.npy", "-m", "plain"], "was trained without actions"),
    ],
)
def test_a_rollout_that_cannot_be_ends_in_one_line_and_exit_code_2(
    model, tmp_path, monkeypatch, capsys, words, message
):
    monkeypatch.chdir(tmp_path)
    np.save("clip.npy", frames_of(4))
    np.save("plan.npy", np.zeros((5, 2), np.float32))
    np.save("wide.npy", np.zeros((5, 3), np.float32))
    predictor("modern", SHAPE).save_pretrained("plain")
    given = words if "-m" in words else [*words, "-m", model]
    with pytest.raises(SystemExit) as stop:
        main(["rollout", *given, "--cpu"])
    assert stop.value.code == 2
    assert message in (error := capsys.readouterr().err)
    assert error.count("\n") == 1


def test_predict_takes_a_plan_too(model, tmp_path, capsys):
    np.save(tmp_path / "clip.npy", frames_of(4))
    np.save(tmp_path / "plan.npy", np.zeros((5, 2), np.float32))
    words = ["predict", f"{tmp_path}/clip.npy", "-m", model, "-o", f"{tmp_path}/out.npy", "--cpu"]
    main([*words, "--actions", f"{tmp_path}/plan.npy"])
    with pytest.raises(SystemExit):
        main([*words, "--overwrite"])
    assert "follows actions: give one of 2 numbers" in capsys.readouterr().err


# ---------------------------------------------------------------------------------------------------------- evaluation


def test_a_model_is_measured_with_true_and_with_shuffled_actions_and_over_long_rollouts(model):
    config = EvaluateConfig(
        model=model, data=WORLD, samples=1, max_items=4, batch=2, networks=("none",), rollout_steps=6, rollout_clips=2
    )
    report = evaluate(config)
    rows = {"true actions, prediction", "shuffled actions, prediction", "last frame repeated"}
    curves = report.prediction.by_lead_time["mse_per_frame"]
    assert rows <= curves.keys()
    assert curves["true actions, prediction"] != curves["shuffled actions, prediction"]
    assert not [each for each in report.prediction.verdicts() if "shuffled" in str(each)]
    assert report.rollout.steps == 6
    assert set(report.rollout.motion) == {"true", "looking every 3 steps", "never looking"}
    assert all(len(curve) == 6 for curve in report.rollout.error.values())
    text = format_summary(report)
    assert "With the true actions the squared error is smaller" in text
    assert "In the last 6 of 6 steps, never looking" in text


def test_an_evaluation_without_the_actions_of_the_model_is_refused(model):
    plain = replace(WORLD, actions=0)
    with pytest.raises(ValueError, match=r"data\.actions is 0, and .* trained on actions of 2 numbers"):
        evaluate(EvaluateConfig(model=model, data=plain, max_items=2, networks=("none",)))


def test_a_step_is_timed(model, capsys):
    main(["benchmark", "world", "--model", model, "--repeats", "1"])
    assert "a step, with a look every 3" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["benchmark", "world"])
    assert "model is for world, which needs one" in capsys.readouterr().err


# --------------------------------------------------------------------------------------------------------- environment


def test_the_environment_passes_the_check_of_gymnasium_and_repeats_itself(model):
    pytest.importorskip("gymnasium")
    from gymnasium.utils.env_checker import check_env

    from vidgan.environment import WorldEnvironment

    env = WorldEnvironment(
        model, WORLD, max_steps=3, render_mode="rgb_array", reward=lambda _before, _action, after: after.mean()
    )
    check_env(env, skip_render_check=True)
    runs = []
    for _ in range(2):
        first, known = env.reset(seed=3)
        seen = [first] + [env.step(np.full(2, 0.5, np.float32)) for _ in range(3)]
        runs.append((known, [each if isinstance(each, np.ndarray) else each[0] for each in seen]))
        assert seen[-1][3]
        assert seen[-1][1] == pytest.approx(seen[-1][0].mean())
    assert runs[0][0] == runs[1][0]
    assert all(np.array_equal(a, b) for a, b in zip(runs[0][1], runs[1][1], strict=True))
    assert np.array_equal(env.render(), runs[1][1][-1])
    with pytest.raises(ValueError, match="is not in Box"):
        env.step(np.full(2, 3.0, np.float32))
    with pytest.raises(ValueError, match="there is no clip"):
        env.reset(options={"clip": 10**6})


def test_choices_are_handed_to_the_model_as_one_hot(model):
    pytest.importorskip("gymnasium")
    from vidgan.environment import WorldEnvironment

    env = WorldEnvironment(model, WORLD, choices=True)
    assert env.action_space.n == 2
    env.reset(seed=0, options={"clip": 1})
    frame = env.step(1)[0]
    vectors = WorldEnvironment(model, WORLD)
    vectors.reset(seed=0, options={"clip": 1})
    assert np.array_equal(frame, vectors.step(np.array([0, 1], np.float32))[0])


def test_without_gymnasium_the_environment_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    monkeypatch.delitem(sys.modules, "vidgan.environment", raising=False)
    with pytest.raises(ValueError, match=r"pip install 'vidvox\[gymnasium\]'"):
        __import__("vidgan.environment")


def test_the_actions_of_a_model_stand_in_its_settings(model):
    with open(f"{model}/config.json", encoding="utf-8") as file:
        assert json.load(file)["shape"]["actions"] == 2
