"""Predictors that follow actions: which frames an action reaches, what stays as it was, what is refused."""

import json
from dataclasses import replace

import pytest
import torch
from support.tiny import SHAPE, clips, predictor

from vidgan.graphs import build_predictor_graphs
from vidgan.networks.generator import FramePredictor

ACTED = replace(SHAPE, actions=2)
PRESETS = ["modern", "splat", "paper"]


def plan(batch: int, steps: int = 3, seed: int = 0) -> torch.Tensor:
    return torch.randn(batch, steps, 2, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("preset", PRESETS)
def test_an_action_changes_its_own_frame_and_those_after_it_but_none_before(preset):
    model, past, latent = predictor(preset, ACTED), clips(1)[:, :2], torch.randn(1, 6)
    actions = plan(1)
    changed = actions.clone()
    changed[:, 1] += 3
    with torch.no_grad():
        made = [model.predict_output(past, latent, each, steps=3) for each in (actions, changed)]
    shown = [each.frames if each.displacement is None else each.displacement for each in made]
    apart = (shown[0] - shown[1]).abs().amax((0, 2, 3, 4))
    assert torch.equal(made[0].frames[:, 0], made[1].frames[:, 0])
    assert apart[0] == 0
    assert apart[1] > 1e-4
    assert apart[2] > 1e-4


@pytest.mark.parametrize("preset", PRESETS)
def test_the_same_actions_give_the_same_frames_step_by_step_at_once_and_in_segments(preset):
    past, latent, actions = clips(2)[:, :2], torch.randn(2, 6), plan(2)
    model = predictor(preset, ACTED)
    with torch.no_grad():
        whole = model(past, latent, actions, steps=3)
        again = model(past, latent, actions, steps=3)
        context, frames = model.encode(past), []
        for time in range(3):
            frame, context = model.step(context, latent, actions[:, time], time=time)
            frames.append(frame[..., :16, :16])
    assert torch.equal(whole, again)
    assert torch.allclose(torch.stack(frames, 1), whole, atol=1e-5)
    split = predictor(preset, ACTED, segment=2)
    split.load_state_dict(model.state_dict())
    assert torch.allclose(split(past, latent, actions, steps=3), whole, atol=1e-5)


def test_no_clip_depends_on_the_actions_of_another():
    model, past, latent, actions = predictor("modern", ACTED), clips(2)[:, :2], torch.randn(2, 6), plan(2)
    other = torch.cat([actions[:1], actions[1:] + 5])
    with torch.no_grad():
        first, second = (model(past, latent, each, steps=3) for each in (actions, other))
    assert torch.equal(first[0], second[0])
    assert not torch.equal(first[1], second[1])


def test_all_futures_of_a_past_follow_its_actions():
    model, past, latent, actions = predictor("modern", ACTED), clips(2)[:, :2], torch.randn(1, 6), plan(2)
    with torch.no_grad():
        made = model(past, latent.expand(4, -1), actions, steps=3)
    assert torch.allclose(made[0], made[1], atol=1e-4)
    assert torch.allclose(made[2], made[3], atol=1e-4)
    assert (made[0] - made[2]).abs().max() > 1e-3


def test_predict_and_stream_follow_actions_alike():
    model = predictor("modern", ACTED)
    frames = ((clips(1)[0, :2] + 1) * 127.5).round().to(torch.uint8)
    whole = model.predict(frames, 3, plan(1)[0], samples=2)
    streamed = torch.stack(list(model.stream(frames, 3, plan(1)[0], samples=2)), 1)
    assert (whole.int() - streamed.int()).abs().max() <= 1
    assert (whole.int() - model.predict(frames, 3, plan(1, seed=1)[0], samples=2).int()).abs().max() > 1


@pytest.mark.parametrize(
    ("shape", "actions", "message"),
    [
        (ACTED, None, "follows actions: give one of 2 numbers for each of 3 steps"),
        (ACTED, torch.zeros(1, 2, 2), "one for each of 3 steps, not 2 of 2 numbers"),
        (ACTED, torch.zeros(1, 3, 4), "actions of 2 numbers, one for each of 3 steps, not 3 of 4 numbers"),
        (SHAPE, torch.zeros(1, 3, 2), "trained without actions, and cannot follow any"),
    ],
)
def test_actions_that_are_missing_or_do_not_fit_are_refused(shape, actions, message):
    with pytest.raises(ValueError, match=message):
        predictor("modern", shape)(clips(1)[:, :2], torch.zeros(1, 6), actions, steps=3)


def test_sprites_follow_no_actions():
    with pytest.raises(ValueError, match="sprites follow no actions"):
        FramePredictor(replace(predictor("modern").config, output="sprites"), ACTED)


def test_a_model_without_actions_has_the_weights_and_the_file_that_it_had_before_there_were_any(tmp_path):
    predictor("modern").save_pretrained(tmp_path / "plain")
    predictor("modern", ACTED).save_pretrained(tmp_path / "acted")
    plain, acted = (json.loads((tmp_path / name / "config.json").read_text()) for name in ("plain", "acted"))
    assert "actions" not in plain["shape"]
    assert acted["shape"]["actions"] == 2
    assert not [name for name in predictor("modern").state_dict() if "action" in name]
    assert FramePredictor.from_pretrained(tmp_path / "acted").shape == ACTED
    assert FramePredictor.from_pretrained(tmp_path / "plain").shape == SHAPE


def test_the_weights_of_a_model_with_actions_are_no_start_for_one_without(tmp_path):
    predictor("modern", ACTED).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="actions is 2 and not"):
        FramePredictor(predictor("modern").config, SHAPE).start_from(tmp_path)


def test_the_graph_of_a_step_takes_the_action_that_leads_to_its_frame():
    encode, step = build_predictor_graphs(predictor("modern", ACTED))
    assert [port.name for port in step.inputs][:3] == ["latent", "time", "action"]
    with torch.no_grad():
        states = encode.network(clips(1)[:, :2])
        before = step.network(torch.zeros(1, 6), torch.tensor(0), torch.zeros(1, 2), *states)[0]
        after = step.network(torch.zeros(1, 6), torch.tensor(0), torch.ones(1, 2), *states)[0]
        whole = predictor("modern", ACTED)(clips(1)[:, :2], torch.zeros(1, 6), torch.ones(1, 1, 2), steps=1)
    assert torch.allclose(after, whole[:, 0], atol=1e-5)
    assert (before - after).abs().max() > 1e-4
