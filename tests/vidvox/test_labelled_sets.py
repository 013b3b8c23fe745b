"""Labelled data sets of generated clips and voxels: what is written, what it says of its origin, what it is worth."""

import json
import tarfile

import numpy as np
import pytest
from support.tiny import synthesiser

from gancore.evaluation.report import read_report_json
from gancore.evaluation.transfer import TransferReport
from gancore.files.labelled_set import LabelledArray, read_labelled_set, write_labelled_set
from vidgan.data.dataset import open_video_clips
from vidgan.data_config import VideoDataConfig
from vidgan.generate import generate_clips
from vidvox.cli import main


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    synthesiser("modern").save_pretrained(folder)
    return str(folder)


def refusal(words: list[str], capsys) -> str:
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
    return capsys.readouterr().err


def test_clips_lie_in_folders_of_their_classes_and_a_manifest_says_how_they_came_about(model, tmp_path, capsys):
    out = tmp_path / "made"
    main(["generate", "-m", model, "-n", "6", "--dataset", str(out), "--licence", "CC0", "--seed", "4", "--cpu"])
    assert "6 clips of 3 classes" in capsys.readouterr().out
    assert sorted(path.relative_to(out).as_posix() for path in out.glob("*/*")) == [
        f"{label}/{number:05d}.npy" for label, number in (("a", 0), ("a", 3), ("b", 1), ("b", 4), ("c", 2), ("c", 5))
    ]
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["classes"] == {"a": 2, "b": 2, "c": 2}
    assert (manifest["seed"], manifest["licence_of_training_data"], manifest["generated"]) == (4, "CC0", True)
    assert len(manifest["weights_sha256"]) == 64
    same = generate_clips(synthesiser("modern"), count=6, seed=4)
    found = {(each.label, number): each.values for number, each in enumerate(read_labelled_set(out))}
    for number, (label, clip) in enumerate(zip(same.labels, same.frames, strict=True)):
        assert np.abs(found[label, number].astype(int) - clip.permute(0, 2, 3, 1).numpy().astype(int)).max() <= 1


def test_a_training_reads_the_classes_of_such_a_set(model, tmp_path):
    main(["generate", "-m", model, "-n", "12", "--dataset", str(tmp_path / "made"), "--cpu"])
    size = {"height": 16, "width": 16, "channels": 1, "clip_frames": 5, "context_frames": 0}
    clips = open_video_clips(
        VideoDataConfig(path=str(tmp_path / "made"), class_conditional=True, **size), split="train"
    )
    assert clips.classes == ("a", "b", "c")


def test_shards_have_the_layout_of_webdataset_and_the_same_samples(tmp_path):
    samples = [LabelledArray("ab"[n % 2], np.full((2, 3, 3, 1), n, np.uint8)) for n in range(5)]
    for name in ("one", "two"):
        write_labelled_set(tmp_path / name, samples, kind="clips", provenance={}, shard_size=2)
    shards = sorted(path.name for path in (tmp_path / "one").glob("*.tar"))
    assert shards == ["shard-00000.tar", "shard-00001.tar", "shard-00002.tar"]
    assert all((tmp_path / "one" / each).read_bytes() == (tmp_path / "two" / each).read_bytes() for each in shards)
    with tarfile.open(tmp_path / "one" / shards[0]) as archive:
        assert archive.getnames() == [f"0000{n}.{end}" for n in range(2) for end in ("npy", "cls", "json")]
    found = list(read_labelled_set(tmp_path / "one"))
    assert [(each.label, int(each.values[0, 0, 0, 0])) for each in found] == [
        (s.label, n) for n, s in enumerate(samples)
    ]


def test_a_class_that_is_no_folder_name_is_refused(tmp_path):
    with pytest.raises(ValueError, match="cannot be the name of a folder"):
        write_labelled_set(tmp_path / "set", [LabelledArray("../a", np.zeros(1))], kind="voxels", provenance={})


def test_nothing_is_mixed_into_a_folder_and_a_model_without_classes_has_no_labels(model, tmp_path, capsys):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("x")
    assert "not empty" in refusal(["generate", "-m", model, "--dataset", str(tmp_path / "full"), "--cpu"], capsys)
    synthesiser("modern", classes=()).save_pretrained(tmp_path / "plain")
    words = ["generate", "-m", str(tmp_path / "plain"), "--dataset", str(tmp_path / "new"), "--cpu"]
    assert "trained without classes" in refusal(words, capsys)
    assert "are for a data set" in refusal(["generate", "-m", model, "--licence", "CC0"], capsys)


def test_generated_clips_are_classified_beside_real_ones(model, tmp_path, capsys):
    main(["generate", "-m", model, "-n", "12", "--dataset", str(tmp_path / "made"), "--cpu"])
    random = np.random.default_rng(0)
    for part in ("train", "test"):
        for number, label in enumerate("abc"):
            for clip in range(4):
                path = tmp_path / "real" / part / label / f"{clip}.npy"
                path.parent.mkdir(parents=True, exist_ok=True)
                np.save(path, (80 * number + random.integers(20, size=(5, 16, 16, 1))).astype(np.uint8))
    capsys.readouterr()
    words = ["classify", str(tmp_path / "made"), "--real", str(tmp_path / "real"), "-o", str(tmp_path / "report")]
    main(words)
    report = read_report_json(TransferReport, tmp_path / "report")
    assert report.real_on_real == 1
    assert report.classes == ["a", "b", "c"]
    assert report.protocol["generated"]["samples"] == 12
    assert "mean accuracy of classes (%)" in capsys.readouterr().out
    assert "exists" in refusal(words, capsys)
    assert "not a data set written by vidvox generate" in refusal(["classify", str(tmp_path / "real")], capsys)


@pytest.mark.slow
def test_generated_furniture_is_classified_beside_the_bundled_one(tmp_path, capsys):
    out = tmp_path / "made"
    main(["generate", "-n", "22", "--dataset", str(out), "--shard_size", "8", "--cpu"])
    assert len(list(out.glob("*.tar"))) == 3
    main(["classify", str(out)])
    assert "11 classes" in capsys.readouterr().out
