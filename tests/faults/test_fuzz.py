"""Whatever a file holds, its reader reads it or says in one line, which names the file, why it cannot."""

from pathlib import Path

import pytest
from faults.campaign import FOLDER, record
from faults.fuzzing import fuzz

BAD = ("unexpected", "crashed", "hung", "over", "escapes")


def describe(keep: Path, counts: dict[str, float]) -> str:
    findings = keep / "findings.txt"
    return f"{counts}\n{findings.read_text() if findings.exists() else ''}"


def test_fifteen_hundred_unsound_files_are_read_or_refused_in_one_line(tmp_path: Path) -> None:
    counts = fuzz(1500, seed=0, keep=tmp_path)
    assert counts["fuzzed"] >= 1500
    assert not any(counts[name] for name in BAD), describe(tmp_path, counts)
    assert counts["read"] > 100
    assert counts["refused"] > 600


@pytest.mark.faults
def test_a_million_unsound_files_are_read_or_refused_in_one_line(request: pytest.FixtureRequest) -> None:
    inputs, seed = request.config.getoption("--fuzz-inputs"), request.config.getoption("--fuzz-seed")
    counts = fuzz(inputs, seed=seed, keep=FOLDER / f"inputs-{seed}", workers=2)
    record("fuzz", f"seed {seed}", **counts)
    assert counts["fuzzed"] >= inputs
    assert not any(counts[name] for name in BAD), describe(FOLDER / f"inputs-{seed}", counts)
