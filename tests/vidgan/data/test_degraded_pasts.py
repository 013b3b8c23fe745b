"""Pasts are spoilt in the loader: futures and truth stay clean, and everything derives from the sample."""

from dataclasses import replace

import pytest
import torch
from support.tiny import Patterns, batch_of, discriminator, predictor

from gancore.data import Sample
from gancore.rng import SampleRandom
from vidgan.config import VideoObjectiveConfig
from vidgan.data.batch import collate
from vidgan.data.degraded_pasts import degrade_pasts
from vidgan.data_config import VideoDataConfig
from vidgan.degradations.kinds import degrade
from vidgan.objective import VideoObjective, motion_scale, sample_futures
from vidgan.translation_config import PairDataConfig

DATA = VideoDataConfig(height=16, width=16, channels=1, clip_frames=5, context_frames=2)
SPOILT = replace(DATA, past_degradations=("noise", "blur"), past_least_severity=3.0, past_most_severity=3.0)
CLIPS = Patterns(frames=5, channels=1, height=16, width=16)


def test_without_degradations_a_data_set_is_what_it_was():
    assert degrade_pasts(CLIPS, DATA, train=True) is CLIPS
    assert collate([CLIPS[Sample(0, 0)]], 2).given_past is None


@pytest.mark.parametrize("train", [True, False])
def test_the_past_is_spoilt_and_all_else_stays_as_it_is(train):
    spoilt = degrade_pasts(CLIPS, replace(SPOILT, past_degradations=("noise", "contrast")), train=train)
    assert (len(spoilt), spoilt.classes) == (len(CLIPS), CLIPS.classes)
    batch = collate([spoilt[Sample(number, 7)] for number in range(4)], 2)
    clean = collate([CLIPS[Sample(number, 7)] for number in range(4)], 2)
    assert torch.equal(batch.frames, clean.frames)
    assert torch.equal(batch.labels, clean.labels)
    assert torch.equal(batch.true_past, clean.past)
    assert torch.equal(batch.future, clean.future)
    assert batch.past.shape == clean.past.shape
    assert all(not torch.equal(*pair) for pair in zip(batch.past, clean.past, strict=True))
    part = batch[1:3].to("cpu")
    assert torch.equal(part.past, batch.to("cpu").past[1:3])
    assert part.past.dtype == torch.float32
    assert part.past.min() >= -1
    assert torch.equal(part.to("cpu").past, part.past)


def test_a_past_depends_on_its_sample_alone():
    spoilt = degrade_pasts(CLIPS, SPOILT, train=True)
    first, again, other = (spoilt[Sample(2, seed)][3] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_held_out_clips_take_the_kinds_in_turn_and_training_clips_draw_them():
    def blurs(train: bool, index: int, seed: int) -> bool:
        """Blur is not random: it is the same whatever the seed of the degradation, noise is not."""
        past = degrade_pasts(CLIPS, SPOILT, train=train)[Sample(index, seed)][3].float()
        clean = CLIPS[Sample(index, seed)][0][:2].float()
        return bool((past - clean).abs().mean() < 10)

    assert [blurs(False, index, 3) for index in range(4)] == [False, True, False, True]
    assert {blurs(True, 0, seed) for seed in range(20)} == {False, True}


def test_severities_are_drawn_between_their_bounds():
    mild = degrade_pasts(CLIPS, replace(SPOILT, past_least_severity=0.0, past_most_severity=0.0), train=True)
    assert torch.equal(mild[Sample(1, 1)][3], CLIPS[Sample(1, 1)][0][:2])


def test_displacements_are_kept():
    class Rendered(Patterns):
        def __getitem__(self, sample: Sample):
            known = torch.full((3, 2, 16, 16), float(sample.index))
            return (*super().__getitem__(sample), known)[: 3 if sample.index else 2]

    spoilt = degrade_pasts(Rendered(frames=5, channels=1, height=16, width=16), SPOILT, train=True)
    batch = collate([spoilt[Sample(number, 0)] for number in range(3)], 2)
    assert batch.displacement[0].isnan().all()
    assert (batch.displacement[2] == 2).all()
    assert batch[1:].to("cpu").displacement.shape == (2, 3, 2, 16, 16)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"past_degradations": ("noise",), "context_frames": 0}, "past_degradations: context_frames is 0"),
        ({"past_least_severity": 4.0, "past_most_severity": 3.0}, "severities must obey .* got 4.0 and 3.0"),
        ({"past_most_severity": 6.0}, "severities must obey"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes, complaint):
    with pytest.raises(ValueError, match=complaint):
        replace(DATA, **changes)


def test_pairs_have_no_past_to_spoil():
    with pytest.raises(ValueError, match="there is no past to spoil"):
        PairDataConfig(past_degradations=("noise",))


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("rian", r"data.past_degradations: unknown degradation rian; did you mean rain\?"),
        ("noise+shrink-2", "noise.shrink-2 makes frames smaller"),
    ],
)
def test_a_degradation_that_cannot_be_used_is_named(name, complaint):
    with pytest.raises(ValueError, match=complaint):
        degrade_pasts(CLIPS, replace(DATA, past_degradations=(name,)), train=True)


def test_the_generator_sees_the_spoilt_past_and_the_discriminators_the_clean_one():
    clean = batch_of(3)
    spoilt = replace(clean, given_past=(clean.past + 0.3).clamp(-1, 1))
    generator, judges = predictor("modern"), discriminator("modern")
    futures = [sample_futures(generator, batch, SampleRandom(0), samples=1)[:, 0] for batch in (clean, spoilt)]
    as_if_clean = replace(clean, frames=torch.cat([spoilt.given_past, clean.future], 1))
    assert not torch.equal(*futures)
    assert torch.equal(futures[1], sample_futures(generator, as_if_clean, SampleRandom(0), samples=1)[:, 0])
    objective = VideoObjective(VideoObjectiveConfig())
    scores = [objective.score_outputs(judges, batch, futures[1], SampleRandom(1)) for batch in (clean, spoilt)]
    assert torch.equal(*scores)
    assert torch.equal(motion_scale(clean), motion_scale(spoilt))


def test_the_pasts_of_a_spoilt_copy_are_those_of_the_command():
    one = replace(SPOILT, past_degradations=("impulse",))
    past = degrade_pasts(CLIPS, one, train=False)[Sample(0, 5)][3]
    clean = CLIPS[Sample(0, 5)][0][:2]
    share = (past != clean).float().mean()
    expected = (degrade(clean, "impulse", severity=3, seed=0).frames != clean).float().mean()
    assert share == pytest.approx(float(expected), abs=0.05)
