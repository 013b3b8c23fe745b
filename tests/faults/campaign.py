"""What the campaigns found, kept in build/faults/; `python tests/faults/campaign.py` prints it as a table."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

PARTS = ("kills", "disks", "damage", "processes", "fuzz", "soak")
FOLDER = Path(__file__).parents[2] / "build" / "faults"
MOST = ("steps_lost", "peak_bytes", "slowest_seconds")
"""Counts of which the largest is shown; the others are added up."""


def record(part: str, name: str, **counts: float | int | str) -> None:
    """Keep what a test of a part counted, in the place of what it counted before."""
    assert part in PARTS
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{part}.json"
    kept = json.loads(path.read_text()) if path.exists() else {}
    partial = path.with_suffix(f".{os.getpid()}")
    partial.write_text(json.dumps(kept | {name: counts}, indent=1))
    os.replace(partial, path)


def read_counts(folder: Path = FOLDER) -> dict[str, dict[str, float]]:
    """The counts of each part that has been run, over all of its tests."""
    parts: dict[str, dict[str, float]] = {}
    for part in PARTS:
        if not (folder / f"{part}.json").exists():
            continue
        total: dict[str, float] = {}
        for counts in json.loads((folder / f"{part}.json").read_text()).values():
            _add_up(total, {name: value for name, value in counts.items() if isinstance(value, int | float)})
        parts[part] = total
    return parts


def _add_up(total: dict[str, float], counts: dict[str, float]) -> None:
    for name, value in counts.items():
        total[name] = max(total.get(name, 0), value) if name in MOST else total.get(name, 0) + value


def format_table(parts: dict[str, dict[str, float]]) -> str:
    """The table of all that was counted, silent wrong results first."""
    everything: dict[str, float] = {}
    for counts in parts.values():
        _add_up(everything, counts)

    def count(name: str) -> str:
        return f"{everything.get(name, 0):,.0f}"

    lines = [f"silent wrong results: {count('silent')}"]
    if "kills" in everything:
        lines.append(f"kills resumed bit for bit / kills: {count('kills_resumed')} / {count('kills')}")
        lines.append(f"steps lost at most: {count('steps_lost')}, with a checkpoint every 3 steps")
        lines.append(f"bytes left over after 100 kills: {count('left_over_bytes')}")
    if "faults" in everything:
        lines.append(
            f"faults that ended in one line, a named skip or the right result / faults tried: "
            f"{count('faults_told')} / {count('faults')}"
        )
    if "fuzzed" in everything:
        lines.append(
            f"fuzzed inputs: {count('fuzzed')}, of each reader at least {count('least')}; "
            f"unexpected {count('unexpected')}, crashed {count('crashed')}, "
            f"hung {count('hung')}, over the limit of 2 GB {count('over')}; "
            f"peak memory {everything['peak_bytes'] / 1e6:,.0f} MB, slowest {everything['slowest_seconds']:.1f} s"
        )
        lines.append(f"files written outside and code run: {count('escapes')}")
    if "soak_minutes" in everything:
        lines.append(
            f"growth in {count('soak_minutes')} minutes: resident memory {everything['memory_growth']:+.1%}, "
            f"handles {everything['handles_growth']:+.0f}, threads {everything['threads_growth']:+.0f}, "
            f"shared memory {everything['shared_growth']:+.0f} B, files {everything['files_growth']:+.0f}"
        )
    missing = [part for part in PARTS if part not in parts]
    return "\n".join([*lines, *(f"not run: {part} (make faults PART={part})" for part in missing)])


def main(words: Sequence[str]) -> int:
    """Print the table; the exit code is 1 if anything was silently wrong."""
    parts = read_counts(Path(words[0]) if words else FOLDER)
    print(format_table(parts))
    return int(any(counts.get("silent") for counts in parts.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
