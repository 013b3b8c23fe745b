"""No step of a training from clip to clip waits for the device."""

import pytest
from support import translating
from support.waiting import MetaAccelerator, play


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"unpaired.contrast_weight": 1.0, "unpaired.cycle_weight": 0.0, "generator.keep_luminance": "true"},
        {
            "data.paired": "true",
            "unpaired.penalties.lazy_every": 16,
            "objective.adversarial_weight": 1.0,
            "objective.ping_pong_weight": 1.0,
        },
    ],
)
def test_no_step_of_a_translation_waits_for_the_device(tmp_path, options, monkeypatch):
    monkeypatch.setattr(translating, "create_accelerator", lambda config: MetaAccelerator(cpu=config.cpu))
    play(translating.translation_trainer(tmp_path, options))
