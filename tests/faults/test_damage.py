"""Flipped bits, and data that vanish or change while they are read: found and named, never silently used."""

import logging
import random
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from faults.campaign import record
from faults.forking import Commands, Ended
from faults.injecting import Fault
from faults.layouts import DAMAGES, LAYOUTS, write_layout
from faults.materials import Materials
from faults.runs import HALVES, Half, describe_difference, describe_end, logged, prepare_words, spread, train_words
from support.game import same

from gancore import checkpoint
from voxgan.data.packed import PackedDataset

STEPS = 14
MAX_CALLS = 25
"""Calls of a training that read its run folder at which a fault is tried."""


def flip(content: bytes, place: int, bit: int) -> bytes:
    changed = bytearray(content)
    changed[place] ^= 1 << bit
    return bytes(changed)


def flips(content: bytes, count: int | None) -> Iterable[tuple[int, int]]:
    """Places and bits: all of them, or so many drawn at random."""
    if count is None:
        return ((place, bit) for place in range(len(content)) for bit in range(8))
    chosen = random.Random(0)
    return [(chosen.randrange(len(content)), chosen.randrange(8)) for _ in range(count)]


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Thousands of warnings are not kept."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


def try_flips(file: Path, look: Callable[[], str], *, count: int | None, name: str) -> None:
    """Flip bits of a file; `look` says what is wrong then, nothing if the damage was found or does no harm."""
    content, problems, tried = file.read_bytes(), [], 0
    for place, bit in flips(content, count):
        tried += 1
        file.write_bytes(flip(content, place, bit))
        try:
            problem = look()
        except (ValueError, OSError) as error:
            problem = "" if len(str(error).splitlines()) == 1 else f"not one line: {error}"
        except Exception as error:
            problem = f"unexpected {type(error).__name__}: {error}"
        if problem:
            problems.append(f"bit {bit} of byte {place} ({content[max(0, place - 15) : place + 15]!r}): {problem}")
    file.write_bytes(content)
    silent = sum("silently" in problem for problem in problems)
    if count is None or count > 100:
        record("damage", name, faults=tried, faults_told=tried - len(problems), silent=silent)
    assert not problems, f"{len(problems)} of {tried}:\n" + "\n".join(problems[:10])


def two_checkpoints(folder: Path) -> tuple[Path, Callable[[], str]]:
    """The newest of two checkpoints, and a look at which one is taken, and as what."""
    states = {step: {"number": step, "weights": torch.full((50,), float(step))} for step in (7, 10)}
    paths = [checkpoint.save(folder, step, state, keep_checkpoints=None) for step, state in states.items()]

    def look() -> str:
        found = checkpoint.find_latest(folder)
        if found is None:
            return "silently taken for a new run"
        step, state = checkpoint.load(found)
        return "" if step in states and same(state, states[step]) else f"silently resumed as step {step}"

    return paths[-1], look


@pytest.mark.parametrize("name", ["manifest.json", "state.pt"])
def test_a_flipped_bit_of_a_checkpoint_never_leads_to_another_state(tmp_path: Path, name: str) -> None:
    path, look = two_checkpoints(tmp_path)
    try_flips(path / name, look, count=80, name=name)


@pytest.mark.faults
@pytest.mark.parametrize(("name", "count"), [("manifest.json", None), ("state.pt", 4000)])
def test_no_flipped_bit_of_a_checkpoint_leads_to_another_state(tmp_path: Path, name: str, count: int | None) -> None:
    path, look = two_checkpoints(tmp_path)
    try_flips(path / name, look, count=count, name=f"bits of {name}")


def content_of(folder: Path) -> tuple[object, ...]:
    dataset = PackedDataset(folder)
    voxels = np.stack([dataset.occupancy(index) for index in range(len(dataset))])
    views = [
        dataset.read_view(index, number).tobytes()
        for index, item in enumerate(dataset.objects)
        for number in range(len(item.cameras))
    ]
    return dataset.side, dataset.classes, dataset.objects, voxels.tobytes(), tuple(views)


@pytest.mark.faults
@pytest.mark.parametrize(("name", "count"), [("dataset.json", None), ("occupancy.npy", 2000), ("views.zip", 2000)])
def test_no_flipped_bit_of_a_data_set_leads_to_other_objects(
    materials: Materials, tmp_path: Path, name: str, count: int | None
) -> None:
    shutil.copytree(materials.boxes, tmp_path / "boxes")
    whole = content_of(tmp_path / "boxes")
    try_flips(
        tmp_path / "boxes" / name,
        lambda: "" if content_of(tmp_path / "boxes") == whole else "silently other objects",
        count=count,
        name=f"bits of {name}",
    )


class Trainings:
    """Trainings whose data or caches are damaged, counted."""

    def __init__(self, commands: Commands, folder: Path, undisturbed: Path):
        self.commands, self.folder, self.undisturbed = commands, folder, undisturbed
        self.faults = self.told = self.silent = 0
        self.problems: list[str] = []

    def judge(self, what: str, ended: Ended, run: Path, *, names: str, may_refuse: bool = True) -> None:
        """A training must end in one line, or say what it left out, or be as if nothing had happened."""
        self.faults += 1
        if may_refuse and ended.is_one_line:
            self.told += 1
        elif ended.code != 0:
            self.problems.append(f"{what}: {describe_end(ended)}")
        elif not (difference := describe_difference(run, self.undisturbed)) or re.search(names, ended.err):
            self.told += 1
        else:
            self.silent += 1
            self.problems.append(f"{what}: silently wrong: {difference}")

    def report(self, name: str) -> None:
        record("damage", name, faults=self.faults, faults_told=self.told, silent=self.silent)
        assert not self.problems, "\n".join(self.problems)


def damage_while_training(trainings: Trainings, words: list[object], run: Path, damage: Callable[[], None]) -> Ended:
    """Start a training, damage its data once it is under way, and wait for its end."""
    running = trainings.commands.start(*words, below=run.parent)
    while len(logged(run)) < 3 and not running.is_over():
        time.sleep(0.005)
    damage()
    return running.finish()


def spoil_videos(commands: Commands, folder: Path, layout: str, cases: Iterable[tuple[str, bool]]) -> Trainings:
    """Damage a video of the layout in the middle of trainings with and without a cache."""
    more = ["--data.layout", "strips"] if layout == "strips" else []
    write_layout(layout, folder / "whole")
    words = train_words("video", folder / "undisturbed", *more, data=folder / "whole", steps=STEPS)
    ended = commands.run(*words, below=folder)
    assert ended.code == 0, describe_end(ended)
    trainings = Trainings(commands, folder, folder / "undisturbed")
    for damage, cached in cases:
        place = folder / f"{damage} {cached}"
        videos = write_layout(layout, place / "whole")
        cache = ["--data.cache", place / "cache"] if cached else []
        words = train_words("video", place / "run", *more, *cache, data=place / "whole", steps=STEPS)
        ended = damage_while_training(
            trainings,
            words,
            place / "run",
            lambda damage=damage, videos=videos: [DAMAGES[damage](v) for v in videos[1:3]],
        )
        trainings.judge(f"{layout}, {damage}, cache {cached}", ended, place / "run", names="clip[12]")
    return trainings


def test_a_video_that_is_cut_short_while_it_is_read_is_named(commands: Commands, tmp_path: Path) -> None:
    trainings = spoil_videos(commands, tmp_path, "video files", [("truncated", False)])
    assert not trainings.problems, "\n".join(trainings.problems)


@pytest.mark.faults
@pytest.mark.parametrize("layout", LAYOUTS)
def test_videos_damaged_while_they_are_read_are_named(commands: Commands, tmp_path: Path, layout: str) -> None:
    cases = [(damage, cached) for damage in DAMAGES for cached in (False, True)]
    spoil_videos(commands, tmp_path, layout, cases).report(f"{layout} in training")


@pytest.mark.faults
def test_a_data_set_damaged_while_it_is_read_is_named(commands: Commands, materials: Materials, tmp_path: Path) -> None:
    words = train_words("voxels", tmp_path / "undisturbed", data=materials.boxes, steps=STEPS)
    ended = commands.run(*words, below=tmp_path)
    assert ended.code == 0, describe_end(ended)
    trainings = Trainings(commands, tmp_path, tmp_path / "undisturbed")
    for damage in DAMAGES:
        for name in ("dataset.json", "occupancy.npy", "views.zip"):
            place = tmp_path / f"{damage} {name}"
            shutil.copytree(materials.boxes, place / "boxes")
            words = train_words("voxels", place / "run", data=place / "boxes", steps=STEPS)
            ended = damage_while_training(
                trainings, words, place / "run", lambda damage=damage, at=place / "boxes" / name: DAMAGES[damage](at)
            )
            trainings.judge(f"{name} {damage}", ended, place / "run", names="boxes")
    trainings.report("packed data set in training")


@pytest.mark.faults
def test_a_damaged_cache_of_videos_is_made_again(commands: Commands, materials: Materials, tmp_path: Path) -> None:
    def train(name: str) -> Ended:
        cache = ["--data.cache", tmp_path / "cache"]
        return commands.run(
            *train_words("video", tmp_path / name, *cache, data=materials.videos, steps=STEPS), below=tmp_path
        )

    ended = train("undisturbed")
    assert ended.code == 0, describe_end(ended)
    trainings = Trainings(commands, tmp_path, tmp_path / "undisturbed")
    for number, damage in enumerate(DAMAGES):
        for suffix in ("npy", "json"):
            for file in (tmp_path / "cache").glob(f"*.{suffix}"):
                DAMAGES[damage](file)
            ended = train(f"{number}{suffix}")
            what = f"cache of {suffix} {damage}"
            trainings.judge(what, ended, tmp_path / f"{number}{suffix}", names="^$", may_refuse=False)
    trainings.report("cache of videos")


@pytest.mark.faults
def test_a_damaged_cache_of_shapes_is_made_again(commands: Commands, materials: Materials, tmp_path: Path) -> None:
    def prepare(name: str) -> tuple[Ended, tuple[object, ...] | None]:
        words = prepare_words(materials.meshes, tmp_path / name, "--cache", tmp_path / "cache")
        ended = commands.run(*words, below=tmp_path)
        return ended, content_of(tmp_path / name) if ended.code == 0 else None

    ended, whole = prepare("undisturbed")
    assert ended.code == 0, describe_end(ended)
    problems, damages = [], random.Random(0)
    for number in range(30):
        file = damages.choice(sorted((tmp_path / "cache").glob("*.zip")))
        content = file.read_bytes()
        if number < len(DAMAGES):
            list(DAMAGES.values())[number](file)
        else:
            file.write_bytes(flip(content, damages.randrange(len(content)), damages.randrange(8)))
        ended, found = prepare(f"set{number}")
        if ended.code != 0:
            problems.append(f"{number}: {describe_end(ended)}")
        elif found != whole:
            problems.append(f"{number}: silently other objects")
    silent = sum("silently" in problem for problem in problems)
    record("damage", "cache of shapes", faults=30, faults_told=30 - len(problems), silent=silent)
    assert not problems, "\n".join(problems)


@pytest.mark.faults
@pytest.mark.parametrize("half", HALVES)
def test_a_moment_in_which_the_disk_cannot_be_read_never_starts_a_run_over(
    commands: Commands, materials: Materials, tmp_path: Path, half: Half
) -> None:
    def train(name: str, steps: int, **options) -> Ended:
        words = train_words(half, tmp_path / name / "run", data=materials.source(half), steps=steps)
        return commands.run(*words, below=tmp_path / name, **options)

    (tmp_path / "begun").mkdir()
    ended = train("begun", 3)
    assert ended.code == 0, describe_end(ended)
    shutil.copytree(tmp_path / "begun", tmp_path / "undisturbed")
    undisturbed = train("undisturbed", 8, reads=True)
    assert undisturbed.code == 0, describe_end(undisturbed)
    calls = len(undisturbed.calls)
    assert calls > 3
    trainings = Trainings(commands, tmp_path, tmp_path / "undisturbed" / "run")
    for number in spread(calls, MAX_CALLS):
        for lasting in (False, True):
            shutil.copytree(tmp_path / "begun", tmp_path / "tried")
            fault = Fault(number, "EIO", lasting)
            ended = train("tried", 8, reads=True, fault=fault)
            trainings.judge(str(fault), ended, tmp_path / "tried" / "run", names="^$")
            ended = train("tried", 8)
            trainings.judge(f"after {fault}", ended, tmp_path / "tried" / "run", names="^$")
            shutil.rmtree(tmp_path / "tried")
    trainings.report(f"reading fails, {half}")
