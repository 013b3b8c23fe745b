"""Films are cut into splits by a table, and a table that cannot be followed is told in a line."""

from pathlib import Path

import pytest
import torch

from vidgan.data.dataset import open_dataset
from vidgan.data_config import VideoDataConfig
from vidgan.files.video import read_clip, write_clip


def test_films_are_cut_into_splits_that_a_training_finds(use):
    frames = torch.arange(40, dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 24, 32)
    write_clip(Path("films/count.npy"), frames, rate=10)
    table = Path("parts.yaml")
    table.write_text(
        "- {film: count.npy, split: train, to: 0.5}\n- {film: count.npy, split: val, from: 0.5, to: 0.7}\n"
        "- {film: count.npy, split: test, from: 0.7, stride: 2}\n"
    )
    said = use("cut_films", "parts.yaml", "films", "--out=cut", "--resize=12")
    assert said.code == 0, said.err
    read = {path.parent.name: read_clip(path).frames for path in Path("cut").rglob("*.npy")}
    assert {name: part[:, 0, 0, 0].tolist() for name, part in read.items()} == {
        "train": list(range(20)),
        "val": list(range(20, 28)),
        "test": list(range(28, 40, 2)),
    }
    assert {tuple(part.shape[1:]) for part in read.values()} == {(1, 12, 16)}
    for split, count in (("train", 20), ("val", 8), ("test", 6)):
        shape = {"channels": 1, "height": 12, "width": 16, "clip_frames": 2, "context_frames": 1}
        assert len(open_dataset(VideoDataConfig(path="cut", **shape), split=split)) == count // 2
    assert use("cut_films", "parts.yaml", "films", "--out=cut").code == 2


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ("{film: count.npy, split: all}", "split should be train, val or test, not all"),
        ("{film: count.npy, split: test, from: 0.5, to: 0.5}", "0 <= from < to <= 1"),
        ("{film: count.npy, split: test, stride: 0}", "stride >= 1"),
        ("{film: count.npy, split: test, until: 1}", "until"),
        ("{film: ../count.npy, split: test}", "should be the name of a file"),
        ("5", "not a table of parts"),
        (
            "{film: count.npy, split: train}\n- {film: count.npy, split: test, from: 0.9}",
            "two parts of count.npy overlap",
        ),
        ("{film: absent.npy, split: test}", "no such file or folder"),
        ("{film: count.npy, split: test, to: 0.01}", "no frame"),
    ],
)
def test_a_table_of_films_that_cannot_be_followed_is_told_in_a_line(use, entry, complaint):
    write_clip(Path("films/count.npy"), torch.zeros(40, 1, 24, 32, dtype=torch.uint8), rate=10)
    Path("parts.yaml").write_text(f"- {entry}\n")
    said = use("cut_films", "parts.yaml", "films", "--out=cut")
    assert said.code == 2
    assert complaint in said.err
    assert not list(Path("cut").rglob("*.npy"))
