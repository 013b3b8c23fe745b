"""Pictures are animated from the command line and from Python, and every file says that it was generated."""

from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image
from support.animators import TINY, animator
from support.translators import moving_clip, sound_of, translator, write_film_with_sound

import vidvox
from vidgan.animation.apply import NOTE, animate_film
from vidgan.files.readers import HeldClip
from vidgan.files.video import open_video, read_clip, write_clip


@pytest.fixture
def place(tmp_path):
    """Models, a picture, and films of another size."""
    animator().save_pretrained(tmp_path / "animator")
    translator().save_pretrained(tmp_path / "translator")
    Image.fromarray(moving_clip(1, 40, 36)[0].movedim(0, 2).numpy()).save(tmp_path / "source.png")
    write_clip(tmp_path / "driving.npy", moving_clip(6, 32, 32, seed=1), rate=10)
    write_film_with_sound(tmp_path / "driving.mp4", moving_clip(20, 32, 48, seed=1))
    return tmp_path


def wanted(place: Path, *, relative: bool) -> torch.Tensor:
    source, driving = (read_clip(place / name).frames for name in ("source.png", "driving.npy"))
    return torch.cat(list(animate_film(animator(), source, HeldClip(driving), relative=relative)))


@pytest.mark.parametrize("relative", [True, False])
def test_a_folder_of_frames_holds_what_the_model_makes(place, run_vidvox, relative):
    said = run_vidvox(
        "animate", "source.png", "driving.npy", "-m", "animator", "-o", "frames", "--relative", str(relative).lower()
    )
    assert said.code == 0, said.err
    assert said.out == "6 frames of 40x36: frames\n"
    assert torch.equal(read_clip(place / "frames").frames, wanted(place, relative=relative))


def test_relative_motion_is_the_default_and_another_than_absolute(place, run_vidvox):
    assert run_vidvox("animate", "source.png", "driving.npy", "-m", "animator", "-o", "frames").code == 0
    made = read_clip(place / "frames").frames
    assert torch.equal(made, wanted(place, relative=True))
    assert not torch.equal(made, wanted(place, relative=False))


def test_a_film_has_the_rate_and_the_sound_of_the_driver_and_a_note_that_it_was_generated(place, run_vidvox):
    said = run_vidvox("animate", "source.png", "driving.mp4", "-m", "animator")
    assert said.out == "20 frames of 40x36: moved.mp4\n", said.err
    film, made = open_video(place / "driving.mp4"), open_video(place / "moved.mp4")
    assert (made.frames, made.rate) == (film.frames, film.rate)
    assert [packet for packet, _ in sound_of(place / "moved.mp4")] == [p for p, _ in sound_of(place / "driving.mp4")]
    with av.open(str(place / "moved.mp4")) as container:
        assert container.metadata["comment"] == NOTE


@pytest.mark.parametrize("out", ["moved.png", "moved/00003.png"])
def test_pictures_carry_the_note_too(place, run_vidvox, out):
    target = out.partition("/")[0]
    assert run_vidvox("animate", "source.png", "driving.npy", "-m", "animator", "-o", target).code == 0
    with Image.open(place / out) as picture:
        assert picture.text["Comment"] == NOTE


def test_a_comparison_shows_source_and_driver_too(place, run_vidvox):
    said = run_vidvox("animate", "source.png", "driving.npy", "-m", "animator", "-o", "both.mp4", "--compare")
    assert said.code == 0, said.err
    assert read_clip(place / "both.mp4").frames.shape[3] > 3 * 36


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["no.png", "driving.npy", "-m", "animator"], "no such file or folder: no.png"),
        (["source.png", "no.mp4", "-m", "animator"], "no such file or folder: no.mp4"),
        (["source.png", "driving.npy", "-m", "translator"], "holds a ClipTranslator, not the Animator needed"),
        (["source.png", "driving.npy", "-m", "animator", "-o", "source.png", "--overwrite"], "source.png"),
        (["source.png", "driving.npy", "-m", "animator", "-o", "driving.mp4"], "driving.mp4 exists already"),
        (["source.png", "driving.npy", "-m", "animator", "-o", "moved.gif"], "which .gif cannot hold"),
        (["source.png", "driving.npy", "-m", "animator", "-o", "moved.npy"], "which .npy cannot hold"),
        (["source.png", "driving.npy", "-m", "animator", "-o", "moved", "--compare"], "choose a .mp4 or .png"),
    ],
)
def test_mistakes_end_in_one_line_and_code_2(run_vidvox, words, complaint):
    said = run_vidvox("animate", *words)
    assert said.code == 2
    assert complaint in said.err
    assert ": error: " in said.err.strip().splitlines()[-1]
    assert not Path("moved.mp4").exists()


def test_python_makes_the_same_and_refuses_to_leave_the_note_out(place):
    model = vidvox.load(place / "animator", device="cpu")
    result = model.animate(place / "source.png", np.asarray(read_clip(place / "driving.npy").frames.movedim(1, 3)))
    assert torch.equal(result.frames, wanted(place, relative=True))
    with Image.open(result.save(place / "strip.png")) as picture:
        assert picture.text["Comment"] == NOTE
    with pytest.raises(ValueError, match="cannot hold"):
        result.save(place / "moved.gif")
    with pytest.raises(ValueError, match=r"source\.png"):
        result.save(place / "source.png")


def test_skeletons_of_puppets_and_of_keypoints_are_written(place, run_vidvox):
    said = run_vidvox("skeletons", "-o", "PAIRS", "--count", 2, "--frames", 3, "--size", 32)
    assert said.out == "2 clips of figure 0 and their skeletons: PAIRS\n", said.err
    assert read_clip(place / "PAIRS" / "skeletons" / "00001.npy").frames.shape == (3, 3, 32, 32)
    assert run_vidvox("skeletons", "-o", "PAIRS", "--count", 2).code == 2  # nothing is replaced unasked
    said = run_vidvox("skeletons", "--clips", "PAIRS/figures", "-m", "animator", "-o", "FOUND")
    assert said.out == "keypoints of 2 clips: FOUND\n", said.err
    assert read_clip(place / "FOUND" / "00000.npy").frames.shape == (3, 3, 32, 32)
    said = run_vidvox("skeletons", "--clips", "PAIRS/figures", "-o", "FOUND")
    assert said.code == 2
    assert "clips and model belong together" in said.err


def test_an_animator_is_trained_and_measured_from_the_command_line(run_vidvox):
    flags = [word for name, value in TINY.items() for word in (f"--{name}", value)]
    said = run_vidvox("train", "animation", "puppets", "--run", "run", *flags)
    assert "trained at step 8 of 8: run" in said.out, said.err
    said = run_vidvox("evaluate", "run", "--max_items", 2, "--fit_clips", 3, "-o", "report", "--cpu")
    assert said.code == 0, said.err
    assert "figure kept (share)" in said.out
    assert Path("report/report.html").is_file()
    said = run_vidvox("push", "run", "user/name", "-o", "card", "--report", "report/report.json")
    assert said.code == 0, said.err
    assert "vidvox animate source.png driving.mp4 -m user/name" in Path("card/README.md").read_text()
