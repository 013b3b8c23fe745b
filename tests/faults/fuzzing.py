"""Feeds readers with inputs that are not sound, in processes that may crash, hang or run out of memory.

`fuzz` starts `python -m faults.fuzzing`, which imports everything once and forks a process for each few hundred inputs.
"""

import faulthandler
import gc
import json
import logging
import mmap
import os
import random
import resource
import shutil
import signal
import struct
import subprocess
import sys
import time
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
MEMORY_LIMIT, ADDRESS_LIMIT = 2 * 10**9, 8 * 10**9
"""Bytes that a process may have in memory, and that it can have in all, above what it has at its start."""
SECONDS_LIMIT = 10
"""Seconds of work, or ten times as many of waiting, after which a reader hangs."""
CHUNK = 1000
"""Inputs for each forked process."""


def fuzz(inputs: int, *, seed: int, keep: Path, workers: int = 1, only: str = "") -> dict[str, Any]:
    """What became of so many inputs or more; readers get equal shares up to CHUNK inputs, and equal times then."""
    keep.mkdir(parents=True, exist_ok=True)
    settings = {"inputs": inputs, "seed": seed, "keep": str(keep), "workers": workers, "only": only}
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    environment = {"OMP_NUM_THREADS": "1", "PYTHONPATH": paths, "VIDVOX_TRACEBACK": "1", "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-m", "faults.fuzzing", json.dumps(settings)]
    ended = subprocess.run(command, env=os.environ | environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(ended.stdout.splitlines()[-1])


@dataclass
class Chunk:
    """Inputs `first` to `stop` (excluded) of a reader, mutated or made by hypothesis."""

    reader: int
    source: str
    first: int
    stop: int


class Slot:
    """A place for one forked process at a time, with a folder and memory that it shares with us."""

    def __init__(self, folder: Path):
        self.folder, self.shared = folder, mmap.mmap(-1, 4096)
        self.pid, self.begun = 0, 0.0
        self.chunk = Chunk(0, "", 0, 0)
        self.seen, self.since, self.worked = (0, False), 0.0, 0.0
        """The progress that was seen last, since when, and the seconds that the process had worked by then."""

    @property
    def progress(self) -> tuple[int, bool]:
        """The number of an input, and whether it is being read; it may be half written."""
        return struct.unpack_from("q?", self.shared)

    @progress.setter
    def progress(self, now: tuple[int, bool]) -> None:
        struct.pack_into("q?", self.shared, 0, *now)

    def is_hung(self) -> bool:
        """Whether one input has been read for too long, by what was seen at this look and at earlier ones."""
        now, when = self.progress, time.monotonic()
        if now != self.seen:
            self.seen, self.since, self.worked = now, when, _seconds_worked(self.pid)
        waited = when - self.since
        if not now[1] or waited < SECONDS_LIMIT:
            return False
        return waited > 10 * SECONDS_LIMIT or _seconds_worked(self.pid) - self.worked > SECONDS_LIMIT


class Fuzzer:
    """Hands chunks to slots and counts what comes back."""

    def __init__(self, settings: dict[str, Any]):
        from faults.mutating import warm_up
        from faults.readers import OBJECT_READERS, VIDEO_READERS
        from faults.records import RECORD_READERS

        everything = [*VIDEO_READERS, *OBJECT_READERS, *RECORD_READERS]
        self.readers = [reader for reader in everything if settings["only"] in reader.name]
        self.seed, self.keep = settings["seed"], Path(settings["keep"])
        self.base = self.keep / f"work-{os.getpid()}"
        self.slots = [Slot(self.base / "slots" / str(number)) for number in range(settings["workers"])]
        self.counts: Counter[str] = Counter()
        self.peak, self.slowest, self.said = 0, 0.0, 0
        self.inputs, self.chunk = settings["inputs"], min(CHUNK, -(-settings["inputs"] // len(self.readers)))
        self.unfinished: list[Chunk] = []
        self.planned = [0 for _ in self.readers]
        self.seconds = [0.0 for _ in self.readers]
        for reader in self.readers:  # made once, before anything is forked
            reader.seeds()
            reader.beside()
        warm_up()
        gc.collect()
        gc.freeze()  # or collecting garbage would copy everything in each forked process

    def _next_chunk(self) -> Chunk | None:
        """A chunk for the reader that has had the least time; hypothesis makes every third where it knows how."""
        if self.unfinished:
            return self.unfinished.pop()
        reader = min(range(len(self.readers)), key=lambda number: (self.seconds[number], self.planned[number]))
        if sum(self.planned) >= self.inputs and all(self.planned):
            return None
        first = self.planned[reader]
        self.planned[reader] += self.chunk
        is_made = self.readers[reader].structured and first // self.chunk % 3 == 1
        return Chunk(reader, "structured" if is_made else "mutated", first, first + self.chunk)

    def run(self) -> dict[str, Any]:
        outside = self._place_outside()
        busy = True
        while busy:
            busy = False
            for slot in self.slots:
                if slot.pid:
                    busy = True
                    self._look_after(slot)
                elif chunk := self._next_chunk():
                    busy = True
                    self._start(slot, chunk)
            time.sleep(0.005)
        changed = self._list_outside() != outside
        self.counts["escapes"] += changed
        shutil.rmtree(self.base)
        counts = dict.fromkeys(["fuzzed", "read", "refused", "unexpected", "crashed", "hung", "over", "escapes"], 0)
        worst = {"peak_bytes": self.peak, "slowest_seconds": self.slowest}
        return {**counts, **self.counts, "least": min(self.planned), **worst}

    def _say_how_far(self) -> None:
        """Every now and then, on standard error."""
        if self.counts["fuzzed"] // 20_000 > self.said:
            self.said = self.counts["fuzzed"] // 20_000
            print(f"{self.counts['fuzzed']:,} inputs: {dict(self.counts)}", file=sys.stderr, flush=True)

    @staticmethod
    def _read_traces(slot: Slot) -> str:
        """Where the process was when it ended, innermost first, or the error that ended it."""
        traces = [path.read_text() for name in ("error.txt", "stack.txt") if (path := slot.folder / name).exists()]
        return " < ".join(line.strip() for line in "\n".join(traces).splitlines() if line)[:600]

    def _place_outside(self) -> dict[str, tuple[int, int]]:
        """Files that some inputs point to, beside the folder that inputs lie in."""
        from faults import seeds

        (self.base / "slots").mkdir(parents=True)
        for name, content in (
            ("png", seeds.pictures("png")[0]),
            ("h5", seeds.hdf5("voxels")[0]),
            ("raw", bytes(4096)),
            ("obj", seeds.OBJ),
        ):
            (self.base / f"outside.{name}").write_bytes(content)
        return self._list_outside()

    def _list_outside(self) -> dict[str, tuple[int, int]]:
        return {
            path.name: (path.stat().st_size, path.stat().st_mtime_ns) for path in self.base.iterdir() if path.is_file()
        }

    def _start(self, slot: Slot, chunk: Chunk) -> None:
        slot.chunk, slot.seen, slot.begun = chunk, (-1, False), time.monotonic()
        self.seconds[chunk.reader] += SECONDS_LIMIT  # until its chunk has ended
        slot.progress = chunk.first, False
        slot.pid = os.fork()
        if not slot.pid:
            code = 1
            try:
                Reading(self, slot).work()
                code = 0
            except BaseException as error:
                (slot.folder / "error.txt").write_text(_describe(error))
            finally:
                os._exit(code)

    def _look_after(self, slot: Slot) -> None:
        pid, status = os.waitpid(slot.pid, os.WNOHANG)
        hung = not pid and slot.is_hung()
        if hung:
            os.kill(slot.pid, signal.SIGUSR1)  # it writes where it is
            time.sleep(0.2)
            os.kill(slot.pid, signal.SIGKILL)
            os.waitpid(slot.pid, 0)
        elif not pid:
            return
        slot.pid = 0
        self.seconds[slot.chunk.reader] += time.monotonic() - slot.begun - SECONDS_LIMIT
        if (result := slot.folder / "result.json").exists():
            found = json.loads(result.read_text())
            self.peak, self.slowest = max(self.peak, found.pop("peak")), max(self.slowest, found.pop("slowest"))
            self.counts.update(found)
            result.unlink()
            self._say_how_far()
            return
        reader, chunk, (number, _) = self.readers[slot.chunk.reader], slot.chunk, slot.progress
        what = "hung" if hung else "crashed"
        self.counts.update({"fuzzed": number - chunk.first + 1, "refused": number - chunk.first, what: 1})
        code = 0 if hung else os.waitstatus_to_exitcode(status)
        reason = "longer than allowed" if hung else signal.Signals(-code).name if code < 0 else f"exit code {code}"
        reason += f": {self._read_traces(slot)}"
        target = slot.folder / reader.name.replace("/", " ") / reader.target
        keep_input(
            self.keep, reader, what, reason, target.read_bytes() if target.exists() else b"", f"{chunk.source} {number}"
        )
        if number + 1 < chunk.stop:
            self.unfinished.append(Chunk(chunk.reader, chunk.source, number + 1, chunk.stop))


def _seconds_worked(pid: int) -> float:
    """Processor time that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def keep_input(folder: Path, reader: Any, what: str, reason: str, content: bytes, number: str) -> None:
    """Keeps an input that failed and a line about it, unless there is one of its kind already."""
    kind, _, message = reason.partition(": ")
    mark = "".join(letter if letter.isalnum() else "-" for letter in f"{reader.name} {what} {kind}")[:150]
    path = folder / f"{mark}{Path(reader.target).suffix}"
    if path.exists():
        return
    path.write_bytes(content)
    with (folder / "findings.txt").open("a") as file:
        file.write(f"{reader.area}: {reader.name}: {what}: {kind}: {message} ({number}, kept as {path.name})\n")


class Reading:
    """One forked process, which reads the inputs of a chunk and judges what came of each."""

    def __init__(self, fuzzer: Fuzzer, slot: Slot):
        self.slot, self.chunk, self.keep, self.seed = slot, slot.chunk, fuzzer.keep, fuzzer.seed
        self.reader = fuzzer.readers[slot.chunk.reader]
        self.folder = slot.folder / self.reader.name.replace("/", " ")
        self.counts: Counter[str] = Counter()
        self.slowest, self.number, self.escape = 0.0, slot.chunk.first, ""

    def work(self) -> None:
        self._prepare()
        self.start = self.highest = _highest_memory()
        if self.chunk.source == "mutated":
            self._read_mutated()
        else:
            self._read_structured()
        result = {**self.counts, "peak": self.highest - self.start, "slowest": self.slowest}
        partial = self.slot.folder / "result.part"
        partial.write_text(json.dumps(result))
        os.replace(partial, self.slot.folder / "result.json")

    def _prepare(self) -> None:
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        self.slot.folder.mkdir(parents=True, exist_ok=True)
        stack = (self.slot.folder / "stack.txt").open("w")
        faulthandler.enable(stack, all_threads=False)
        faulthandler.register(signal.SIGUSR1, stack, all_threads=False)
        (self.slot.folder / "error.txt").unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        for name, content in self.reader.beside().items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_bytes(content)
        (self.folder / self.reader.target).parent.mkdir(parents=True, exist_ok=True)
        os.chdir(self.folder)
        os.environ["TMPDIR"] = str(self.folder)
        import tempfile

        tempfile.tempdir = str(self.folder)
        limit = _memory("VmSize") + ADDRESS_LIMIT
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        sys.addaudithook(self._audit)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Notes what no reader should do: start a process, reach for the network, write outside."""
        if event in ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "socket.connect"):
            self.escape = f"{event} {arguments[:1]}"
        elif event == "open" and isinstance(arguments[0], str | bytes):
            flags = arguments[2] if isinstance(arguments[2], int) else 0
            path = os.path.realpath(os.fsdecode(arguments[0]))
            if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and not path.startswith((str(self.slot.folder), "/dev/")):
                self.escape = f"writes {path}"

    def _read_mutated(self) -> None:
        from faults.mutating import mutate

        starts = self.reader.seeds()
        for number in range(self.chunk.first, self.chunk.stop):
            rng = random.Random(f"{self.seed} {self.reader.name} {number}")
            content = starts[number] if number < len(starts) else mutate(starts, rng)
            self._judge(number, self.reader.wrap(content))

    def _read_structured(self) -> None:
        import hypothesis

        reader, count = self.reader, self.chunk.stop - self.chunk.first
        strategy = reader.structured(reader.seeds()[0])

        @hypothesis.seed(f"{self.seed} {reader.name} {self.chunk.first}")
        @hypothesis.settings(
            max_examples=count,
            database=None,
            deadline=None,
            phases=[hypothesis.Phase.generate],
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(strategy)
        def read(content: bytes) -> None:
            self._judge(self.number, reader.wrap(content))
            self.number += 1

        read()

    def _judge(self, number: int, content: bytes) -> None:
        target = self.folder / self.reader.target
        target.unlink(missing_ok=True)
        target.write_bytes(content)
        begun = time.monotonic()
        self.slot.progress = number, True
        self.escape = ""
        what, reason = self._read()
        seconds = time.monotonic() - begun
        self.slot.progress = number, False
        self.slowest = max(self.slowest, seconds)
        before, self.highest = self.highest, _highest_memory()
        if self.highest > max(before, self.start + MEMORY_LIMIT):
            what, reason = "over", f"{(self.highest - self.start) / 1e9:.1f} GB"
        if self.escape:
            self.counts["escapes"] += 1
            keep_input(self.keep, self.reader, "escape", self.escape, content, f"{self.chunk.source} {number}")
        self.counts.update(("fuzzed", what))
        if what in ("unexpected", "over"):
            keep_input(self.keep, self.reader, what, reason, content, f"{self.chunk.source} {number}")

    def _read(self) -> tuple[str, str]:
        try:
            self.reader.read(self.folder)
            return "read", ""
        except MemoryError:
            return "over", "MemoryError"
        except (ValueError, OSError) as error:
            return self._judge_message(error)
        except BaseException as error:
            return "unexpected", _describe(error)

    def _judge_message(self, error: BaseException) -> tuple[str, str]:
        text = str(error)
        names = (Path(self.reader.target).name, self.folder.name, *self.reader.names)
        if len(text.splitlines()) > 1:
            return "unexpected", f"several lines, {_describe(error)}"
        if len(text) > 2000:
            return "unexpected", f"a line of {len(text)} letters, {_describe(error)}"
        if isinstance(error, UnicodeError) or not any(name in text for name in names):
            return "unexpected", f"does not name the file, {_describe(error)}"
        return "refused", ""


def _describe(error: BaseException) -> str:
    """The kind of an exception and where it was raised, the same for all of one kind."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if any(f"/{name}/" in frame.filename for name in ("gancore", "vidgan", "voxgan"))]
    places = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in (own[-1:] + frames[-1:])]
    return f"{type(error).__name__} at {' < '.join(dict.fromkeys(places))}: {' '.join(str(error).split())[:80]}"


def _highest_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _memory(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0


if __name__ == "__main__":
    import av

    av.logging.set_level(None)
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    print(json.dumps(Fuzzer(json.loads(sys.argv[1])).run()))
