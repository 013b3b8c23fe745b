"""What the campaigns counted is shown as a table whose first line is the worst that can happen."""

from pathlib import Path

import pytest
from faults import campaign


def test_counts_of_all_tests_are_added_up_and_silent_wrong_results_come_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(campaign, "FOLDER", tmp_path)
    campaign.record("kills", "one", kills=100, kills_resumed=99, steps_lost=2, left_over_bytes=0, silent=1)
    campaign.record("kills", "one", kills=100, kills_resumed=100, steps_lost=2, left_over_bytes=0, silent=0)
    campaign.record("kills", "two", kills=50, kills_resumed=50, steps_lost=3, left_over_bytes=0, silent=0)
    assert campaign.main([str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "silent wrong results: 0"
    assert lines[1] == "kills resumed bit for bit / kills: 150 / 150"
    assert lines[2].startswith("steps lost at most: 3,")
    assert lines[-1] == "not run: soak (make faults PART=soak)"
    campaign.record("disks", "full", faults=10, faults_told=9, silent=1)
    assert campaign.main([str(tmp_path)]) == 1
    assert capsys.readouterr().out.startswith("silent wrong results: 1\n")
