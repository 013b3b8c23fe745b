"""A long training with TensorBoard on takes no more memory, handles, threads or files at its end than early on."""

import contextlib
import time
from pathlib import Path
from statistics import median

import psutil
import pytest
from faults.campaign import record
from faults.forking import Commands
from faults.runs import describe_end, train_words

MEMORY_NOISE = 0.05
"""Growth of the resident memory, as a fraction of it, that a training of an hour may show."""


def shared_bytes() -> int:
    """Bytes in shared memory that processes name, and in torch's own segments."""
    return sum(path.stat().st_size for path in Path("/dev/shm").glob("*torch*") if path.is_file())


def measure(process: psutil.Process, run: Path) -> dict[str, float]:
    """What a training and its loader take at this moment; sheets and events, which are meant to grow, aside."""
    family = [process, *process.children(recursive=True)]
    files = [path for path in run.rglob("*") if path.is_file() and "samples" not in path.parts]
    return {
        "memory": sum(each.memory_info().rss for each in family),
        "handles": sum(each.num_fds() for each in family),
        "threads": sum(each.num_threads() for each in family),
        "shared": shared_bytes(),
        "files": len(files),
    }


@pytest.mark.faults
def test_a_long_training_takes_no_more_at_its_end(
    commands: Commands, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    minutes = request.config.getoption("--soak-minutes")
    words = train_words(
        *("video", tmp_path / "run", "--train.trackers", "tensorboard", "--train.log_every", "5"),
        *("--train.preview_every", "200", "--train.evaluate_every", "200", "--train.health_every", "50"),
        *("--train.checkpoint_every", "100", "--train.curves", "true", "--data.workers", "1"),
        *("--train.max_minutes", minutes),
        steps=10**8,
    )
    running = commands.start(*words, below=tmp_path, timeout=60 * minutes + 300)
    process, samples = psutil.Process(running.pid), []
    pause = min(10.0, minutes)  # seconds: sixty samples or more
    while not running.is_over():
        with contextlib.suppress(psutil.NoSuchProcess, FileNotFoundError):  # a file or process that has just gone
            samples.append(measure(process, tmp_path / "run"))
        time.sleep(pause)
    ended = running.finish()
    assert ended.code == 0, describe_end(ended)
    early, late = samples[len(samples) // 4 : len(samples) // 2], samples[-len(samples) // 4 : -1]

    def grew(name: str) -> float:
        return median(each[name] for each in late) - median(each[name] for each in early)

    memory = grew("memory") / median(each["memory"] for each in early)
    growth = {f"{name}_growth": grew(name) for name in ("handles", "threads", "shared", "files")}
    record("soak", "video", soak_minutes=minutes, memory_growth=memory, **growth)
    assert memory < MEMORY_NOISE
    assert all(abs(value) <= 1 for value in growth.values()), growth
