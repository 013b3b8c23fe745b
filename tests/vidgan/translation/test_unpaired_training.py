"""Trainings without pairs: they resume to the bit, raise no alarm, and are scored against a truth that is hidden."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.resuming import log
from support.tiny import clips
from support.translating import (
    BOTH_WAYS,
    ONE_WAY,
    assert_equal_runs,
    assert_resumes,
    pair_of,
    train_in_two_processes,
    translation_trainer,
)

from gancore.config import PenaltyConfig
from gancore.data import Sample
from gancore.training.alarms import AlarmMonitor
from vidgan.config import VideoDiscriminatorConfig
from vidgan.frames import to_uint8
from vidgan.networks.curves import apply_curves
from vidgan.networks.translator_pair import TranslatorPair
from vidgan.translation.build import build_translator
from vidgan.translation.folder_pairs import Pair
from vidgan.translation.pairs import collate_pairs, open_pairs
from vidgan.translation.unpaired_validation import UnpairedEvaluation, UnpairedPreview, match_training
from vidgan.translation_config import (
    PairDataConfig,
    PairedObjectiveConfig,
    TranslationConfig,
    TranslatorConfig,
    UnpairedObjectiveConfig,
)

MODEL, BEST = Path("generator", "model.safetensors"), Path("best", "model.safetensors")
CONTRAST = {"unpaired.cycle_weight": 0, "unpaired.contrast_weight": 1, "unpaired.contrast_patches": 8}
HISTOGRAM = {"generator.base": "histogram"}
GAMES = [pytest.param(HISTOGRAM, id="cycle"), pytest.param(CONTRAST, id="contrast")]


class Held:
    """Six pairs in memory: a bright and a dark copy of the same clips, or two that differ."""

    def __init__(self, *, has_truth: bool):
        self.has_truth = has_truth
        bright = clips(6, frames=4, channels=3)
        dark = (bright if has_truth else bright.flip(0)) / 2 - 0.5
        self.pairs = [Pair(to_uint8(source), to_uint8(target)) for source, target in zip(dark, bright, strict=True)]
        self.targets = self

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, sample: Sample) -> Pair:
        return self.pairs[sample.index]


# ------------------------------------------------------------------------------------------------------- resuming


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("options", GAMES)
def test_a_broken_run_goes_on_to_the_bit_as_if_it_had_not_been(options, tmp_path, monkeypatch):
    assert_resumes(options, tmp_path, monkeypatch)


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("options", GAMES)
def test_two_processes_train_to_the_bit_what_one_does_in_two_parts(options, tmp_path):
    assert translation_trainer(tmp_path / "parts", options | {"train.gradient_accumulation_steps": 2}).train()
    train_in_two_processes(tmp_path / "together", options)
    assert_equal_runs(tmp_path / "together", tmp_path / "parts")


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_a_short_good_run_raises_no_alarm(tmp_path):
    steps = {"train.steps": 60, "train.health_every": 5, "train.evaluate_every": 60, "train.checkpoint_every": 60}
    assert translation_trainer(tmp_path, steps).train()
    monitor = AlarmMonitor()
    alarms = [alarm for line in log(tmp_path) for alarm in monitor.observe(line)]
    assert any("health/error" in line for line in log(tmp_path))
    assert not alarms


# ----------------------------------------------------------------------------------------------------- validation


def test_translations_are_scored_against_the_hidden_truth_beside_the_source_and_histogram_matching():
    held = Held(has_truth=True)
    scores = UnpairedEvaluation(dataset=held, training=held)(pair_of(untrained=True))
    psnr = {name.removeprefix("held_out/psnr/"): value for name, value in scores.items() if "/psnr/" in name}
    assert psnr["made"] == psnr["source"] == psnr["back"]
    assert psnr["cycle"] == 100
    assert psnr["histogram_of_set"] > psnr["source"] + 10
    assert psnr["histogram_of_set"] > psnr["histogram_of_clip"] > psnr["source"]
    assert scores["held_out/distance/made"] == scores["held_out/distance/source"] > 0


def test_weights_are_chosen_without_the_hidden_truth():
    for has_truth in (True, False):
        held = Held(has_truth=has_truth)
        evaluation = UnpairedEvaluation(dataset=held, training=held)
        scores = evaluation(pair_of())
        assert evaluation.best_metric == "lowest held_out/distance/made"
        assert ("held_out/psnr/made" in scores) == has_truth
        assert scores["held_out/distance/made"] != scores["held_out/distance/source"]


def test_without_a_way_back_none_is_scored():
    held = Held(has_truth=True)
    scores = UnpairedEvaluation(dataset=held, training=held)(pair_of(ONE_WAY))
    assert "held_out/psnr/made" in scores
    assert not {"held_out/psnr/cycle", "held_out/psnr/back"} & scores.keys()


@pytest.mark.parametrize("parts", [BOTH_WAYS, ONE_WAY], ids=["both ways", "one way"])
def test_a_preview_writes_a_sheet_and_a_film(parts, tmp_path):
    UnpairedPreview(dataset=Held(has_truth=False))(pair_of(parts), 3, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"step-00000003.png", "step-00000003.mp4"}


# ------------------------------------------------------------------------------------------------ base: histogram


@pytest.mark.parametrize("options", [HISTOGRAM, HISTOGRAM | CONTRAST], ids=["cycle", "contrast"])
def test_from_a_histogram_base_training_begins_at_histogram_matching_both_ways(options, tmp_path):
    trainer = translation_trainer(tmp_path, options)
    held_out, pair = trainer.held_out, trainer.generator
    matching = match_training(trainer.dataset)
    batch = collate_pairs([held_out[Sample(number, number)] for number in range(3)]).to("cpu")
    torch.testing.assert_close(pair(batch.source), matching.match_set(batch.source), atol=1e-4, rtol=0)
    if pair.to_source is not None:
        found = apply_curves(batch.target, matching.curves_back.expand(3, -1, -1))
        torch.testing.assert_close(pair.to_source(batch.target), found, atol=1e-4, rtol=0)
    pair.save_pretrained(tmp_path / "saved")
    loaded = TranslatorPair.from_pretrained(tmp_path / "saved")
    assert torch.equal(loaded(batch.source), pair.eval()(batch.source))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"data": PairDataConfig()}, "base histogram is for data.paired false"),
        ({"generator": {"output": "frames"}}, "base histogram needs output residual"),
        ({"generator": {"keep_luminance": True}}, "and keep_luminance false"),
    ],
)
def test_a_histogram_base_that_would_do_nothing_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        TranslationConfig(
            data=settings.get("data", UNPAIRED),
            generator=TranslatorConfig(base="histogram", **settings.get("generator", {})),
        )


# ------------------------------------------------------------------------------------------------------- settings


UNPAIRED = PairDataConfig(degradations=("night",), paired=False, channels=1, height=16, width=16, clip_frames=3)


def test_sources_are_drawn_independently_of_targets_and_held_out_ones_have_their_truth():
    training, held_out = (open_pairs(UNPAIRED, split=split) for split in ("train", "val"))
    assert not training.has_truth
    assert held_out.has_truth
    source, target, _ = held_out[Sample(0, 0)]
    other_source, other_target, _ = training[Sample(0, 0)]
    correlation = [
        torch.corrcoef(torch.stack([a.flatten().float(), b.flatten().float()]))[0, 1]
        for a, b in ((source, target), (other_source, other_target))
    ]
    assert correlation[0] > 0.9 > 0.5 > correlation[1]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"data": UNPAIRED, "objective": PairedObjectiveConfig(pixel_weight=2.0)}, "set those of unpaired"),
        ({"unpaired": UnpairedObjectiveConfig(cycle_weight=5.0)}, "set those of objective instead"),
        (
            {"data": UNPAIRED, "unpaired": UnpairedObjectiveConfig(loss="energy", penalties=PenaltyConfig())},
            "unpaired.loss energy is for",
        ),
        ({"discriminator": VideoDiscriminatorConfig(score="reconstruction")}, "take clip or patches"),
        ({"data": UNPAIRED, "discriminator": VideoDiscriminatorConfig(spatial_frames=4)}, "a clip has only 3 frames"),
    ],
)
def test_settings_that_do_not_belong_together_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        TranslationConfig(**options)


def test_penalties_may_be_set_for_either_kind_of_data():
    assert TranslationConfig(objective=PairedObjectiveConfig(penalties=PenaltyConfig(r1=2.0))).data.paired
    TranslationConfig(
        data=replace(UNPAIRED, clip_frames=4), unpaired=UnpairedObjectiveConfig(penalties=PenaltyConfig(r1=2.0))
    )


@pytest.mark.parametrize("options", [{"scale": 2}, {"masked": True}], ids=["shrunk", "masked"])
def test_sources_that_are_smaller_or_have_holes_need_pairs(options):
    config = TranslationConfig(data=replace(UNPAIRED, clip_frames=4))
    with pytest.raises(ValueError, match="must be whole and as large as targets, not night"):
        build_translator(config, **options)


def test_the_settings_of_a_run_say_what_it_was_trained_with(tmp_path):
    trainer = translation_trainer(tmp_path, CONTRAST)
    trainer.generator.save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "config.json").read_text())
    assert saved["parts"] == {"back": False, "contrast_features": 64}
    assert saved["shape"]["degradations"] == ["night"]
