"""Films and pictures are restored, enlarged, coloured, filled and translated by the command line, with their sound."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.translators import moving_clip, sound_of, translator, write_film_with_sound

from vidgan.files.video import open_video, read_clip, write_clip
from vidgan.frames import convert_channels
from vidgan.networks.translator_pair import TranslatorPair
from vidgan.translation.apply import enlarge_frames, translate_clip
from vidgan.translation_config import PairParts, PairShape, TranslatorConfig


@pytest.fixture
def place(tmp_path):
    """Models of every kind, a film with sound, a picture, and arrays that lose nothing."""
    translator().save_pretrained(tmp_path / "restorer")
    translator(scale=2).save_pretrained(tmp_path / "double")
    translator(degradations=("grey",), keep_luminance=True).save_pretrained(tmp_path / "painter")
    translator(masked=True).save_pretrained(tmp_path / "filler")
    write_film_with_sound(tmp_path / "film.mp4", moving_clip(40, 32, 48))
    Image.fromarray(moving_clip(1, 21, 30)[0].movedim(0, 2).numpy()).save(tmp_path / "photo.jpg")
    write_clip(tmp_path / "clip.npy", moving_clip(6, 16, 20), rate=10)
    write_clip(tmp_path / "grey.npy", moving_clip(6, 16, 20, channels=1), rate=10)
    return tmp_path


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_film_is_restored_as_a_film_of_its_rate_with_its_sound(place, run_vidvox):
    said = run_vidvox("restore", "film.mp4", "-m", "restorer", "-o", "clean.mp4")
    assert said.code == 0, said.err
    assert said.out == "40 frames of 32x48: clean.mp4\n"
    assert "film.mp4: 100%" in said.err
    assert "40/40" in said.err
    film, made = open_video(place / "film.mp4"), open_video(place / "clean.mp4")
    assert (made.frames, made.rate) == (film.frames, film.rate)
    before, after = ([packet for packet, _ in sound_of(place / name)] for name in ("film.mp4", "clean.mp4"))
    assert before == after
    wanted = translate_clip(translator(), read_clip(place / "film.mp4").frames)
    made_grey, wanted_grey = (
        convert_channels(each, 1).float() for each in (read_clip(place / "clean.mp4").frames, wanted)
    )
    assert (made_grey - wanted_grey).abs().mean() < 3  # an MP4 loses a little


@pytest.mark.parametrize("out", ["clean.npy", "frames"])
def test_what_loses_nothing_holds_the_frames_that_the_model_makes(place, run_vidvox, out):
    assert run_vidvox("restore", "clip.npy", "-m", "restorer", "-o", out).code == 0
    wanted = translate_clip(translator(), moving_clip(6, 16, 20))
    assert torch.equal(read_clip(place / out).frames, wanted)


def test_a_picture_becomes_a_picture_of_its_own_size(place, run_vidvox):
    said = run_vidvox("restore", "photo.jpg", "-m", "restorer")
    assert said.out == "1 frame of 21x30: restored.png\n"
    with Image.open(place / "restored.png") as picture:
        assert picture.size == (30, 21)
        made = torch.from_numpy(np.array(picture)).movedim(2, 0)[None]
    assert torch.equal(made, translate_clip(translator(), read_clip(place / "photo.jpg").frames))


@pytest.mark.usefixtures("place")
def test_upscaling_makes_films_and_pictures_larger(run_vidvox):
    assert run_vidvox("upscale", "film.mp4", "-m", "double").out == "40 frames of 64x96: upscaled.mp4\n"
    assert run_vidvox("upscale", "photo.jpg", "-m", "double", "--scale", 2).out == "1 frame of 42x60: upscaled.png\n"
    said = run_vidvox("upscale", "photo.jpg", "-m", "double", "--scale", 4, "-o", "more.png")
    assert said.code == 2
    assert said.err.endswith("scale: double enlarges by 2, not by 4\n")


def test_colouring_does_not_look_at_colours_and_keeps_the_luminance(place, run_vidvox):
    for name in ("clip.npy", "grey.npy"):
        assert run_vidvox("colourise", name, "-m", "painter", "-o", f"coloured-{name}").code == 0
    made, grey = read_clip(place / "coloured-grey.npy").frames, read_clip(place / "grey.npy").frames
    assert made.shape[1] == 3
    inside = ((made > 0) & (made < 255)).all(1, keepdim=True)
    assert (convert_channels(made, 1).int() - grey.int())[inside].abs().max() <= 1
    assert (made.float().std(1) > 1).float().mean() > 0.5
    of_colours = read_clip(place / "coloured-clip.npy").frames
    as_grey = convert_channels(read_clip(place / "clip.npy").frames, 1)
    assert torch.equal(of_colours, translate_clip(translator(degradations=("grey",), keep_luminance=True), as_grey))


def test_only_what_is_marked_is_filled(place, run_vidvox):
    drawn = np.zeros((16, 20), np.uint8)
    drawn[3:9, 4:10] = 255
    Image.fromarray(drawn).save(place / "mask.png")
    clip = read_clip(place / "clip.npy").frames
    known = torch.from_numpy(drawn == 0).expand(6, 1, -1, -1)
    assert run_vidvox("fill", "clip.npy", "-m", "filler", "--mask", "mask.png", "-o", "a.npy").code == 0
    assert run_vidvox("fill", "clip.npy", "-m", "filler", "--box", "3,4,6,6", "-o", "b.npy").code == 0
    by_mask, by_box = (read_clip(place / name).frames for name in ("a.npy", "b.npy"))
    assert torch.equal(by_mask, by_box)
    assert torch.equal(by_mask, translate_clip(translator(masked=True), clip, known=known))
    assert torch.equal(by_mask[known.expand_as(clip)], clip[known.expand_as(clip)])
    assert not torch.equal(by_mask, clip)
    assert run_vidvox("fill", "clip.npy", "-m", "filler", "--missing", "1-2,4", "-o", "c.npy").code == 0
    changed = (read_clip(place / "c.npy").frames != clip).flatten(1).any(1)
    assert changed.nonzero().flatten().tolist() == [1, 2, 4]


def test_a_model_of_two_directions_translates_there_and_back(place, run_vidvox):
    pair = TranslatorPair(
        TranslatorConfig(base_channels=4, blocks=1, neighbours=1), PairParts(back=True), PairShape()
    ).eval()
    with torch.no_grad():
        for number, parameter in enumerate(pair.parameters()):
            parameter += 0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(number))
    pair.save_pretrained(place / "pair")
    assert run_vidvox("translate", "clip.npy", "-m", "pair", "-o", "there.npy").code == 0
    assert run_vidvox("translate", "clip.npy", "-m", "pair", "--back", "-o", "back.npy").code == 0
    clip = read_clip(place / "clip.npy").frames
    assert pair.to_source
    assert torch.equal(read_clip(place / "there.npy").frames, translate_clip(pair.to_target, clip))
    assert torch.equal(read_clip(place / "back.npy").frames, translate_clip(pair.to_source, clip))
    said = run_vidvox("translate", "clip.npy", "-m", "restorer", "--back", "-o", "no.npy")
    assert (said.code, said.out) == (2, "")
    assert said.err.endswith("trained to translate one way: there is no way back\n")


def test_strength_blends_the_result_with_the_source(place, run_vidvox):
    clip = read_clip(place / "clip.npy").frames
    for strength in (0, 0.25, 1):
        out = f"{strength}.npy"
        assert run_vidvox("upscale", "clip.npy", "-m", "double", "--strength", strength, "-o", out).code == 0
    none, some, all_of_it = (read_clip(place / f"{strength}.npy").frames for strength in (0, 0.25, 1))
    assert torch.equal(none, enlarge_frames(clip, 2))
    assert (some.float() - (0.75 * none.float() + 0.25 * all_of_it.float())).abs().max() <= 1


def test_a_comparison_shows_both_below_their_labels_with_the_sound(place, run_vidvox):
    assert run_vidvox("upscale", "film.mp4", "-m", "double", "-o", "both.mp4", "--compare").code == 0
    both = read_clip(place / "both.mp4").frames
    assert len(both) == 40
    assert both.shape[3] > 2 * 96
    assert len(sound_of(place / "both.mp4")) == len(sound_of(place / "film.mp4"))
    assert run_vidvox("restore", "photo.jpg", "-m", "restorer", "--compare", "-o", "both.png").code == 0
    with Image.open(place / "both.png") as picture:
        assert picture.width > 60
    for out in ("both.npy", "folder"):
        said = run_vidvox("restore", "photo.jpg", "-m", "restorer", "--compare", "-o", out)
        assert (said.code, said.out) == (2, "")
        assert "compare is for people to look at" in said.err


def test_a_folder_becomes_a_folder_of_comparisons(place, run_vidvox):
    (place / "films").mkdir()
    for name in ("a.mp4", "b.mp4"):
        shutil.copy(place / "film.mp4", place / "films" / name)
    assert run_vidvox("restore", "films", "-m", "restorer", "--compare", "-o", "compared").code == 0
    assert sorted(path.name for path in (place / "compared").iterdir()) == ["a.mp4", "b.mp4"]
    single = read_clip(place / "film.mp4").frames.shape[3]
    assert read_clip(place / "compared" / "a.mp4").frames.shape[3] > 2 * single


@pytest.mark.usefixtures("place")
def test_the_sound_that_a_format_cannot_hold_is_spoken_of_in_one_line(run_vidvox, caplog):
    assert run_vidvox("restore", "film.mp4", "-m", "restorer", "-o", "clean.gif").code == 0
    assert caplog.messages == ["film.mp4: the sound is left out, which only an .mp4 can hold"]


def test_a_folder_becomes_a_folder_and_what_cannot_be_read_is_named(place, run_vidvox):
    for name in ("a/one.png", "a/two.png"):
        write_clip(place / "FILMS" / name, moving_clip(1, 20, 20), rate=1)
    write_film_with_sound(place / "FILMS" / "three.mkv", moving_clip(12, 32, 32))
    (place / "FILMS" / "broken.mp4").write_text("rubbish")
    said = run_vidvox("restore", "FILMS", "-m", "restorer", "-o", "CLEAN")
    assert said.code == 2
    assert "left out: broken.mp4: cannot read" in said.err
    assert "1 of 3 clips were left out, first broken.mp4" in said.err
    assert {path.name for path in (place / "CLEAN").iterdir()} == {"a", "three.mp4"}
    assert {path.name for path in (place / "CLEAN" / "a").glob("*.png")} == {"00000.png", "00001.png"}
    assert len(sound_of(place / "CLEAN" / "three.mp4")) > 5

    (place / "FILMS" / "broken.mp4").unlink()
    said = run_vidvox("restore", "FILMS", "-m", "restorer", "-o", "EACH", "--each")
    assert said.out == "3 clips, 14 frames: EACH\n"
    assert {str(path.relative_to(place / "EACH")) for path in (place / "EACH").rglob("*.*")} == {
        "a/one.png",
        "a/two.png",
        "three.mp4",
    }


MISTAKES = [
    ("restore none.mp4 -m restorer", "no such file or folder: none.mp4"),
    (
        "translate clip.npy -m vidvox/night",
        "vidvox/night does not come with this version; give a model of your own with -m",
    ),
    ("restore clip.npy --kind snow", "kind should be rain | smoke | null, not snow"),
    ("restore clip.npy --kind rain -m restorer", "kind chooses among the models of the package, and model names one"),
    ("upscale clip.npy --scale 3 -m double", "scale must be 2 or 4, got 3"),
    ("restore clip.npy -m nothing/here", "nothing/here is neither a folder with a model nor"),
    ("restore broken.mp4 -m restorer", "cannot read broken.mp4 as a video"),
    ("restore four.npy -m restorer", "this model takes frames of 3 channels, which 4 cannot become"),
    ("restore clip.npy -m restorer --strength 1.5", "strength must be in [0, 1], got 1.5"),
    ("restore clip.npy -m restorer --memory 0", "memory must be above 0"),
    ("restore clip.npy -m restorer -o clip.npy --overwrite", "clip.npy is an input too"),
    ("restore clip.npy -m restorer -o restorer", "restorer is the folder of restorer/config.json"),
    ("restore clip.npy -m restorer -o film.mp4", "film.mp4 exists already"),
    ("restore clip.npy -m restorer -o a.avi", "its suffix must be one of"),
    ("restore FILMS -m restorer -o all.mp4", "choose an output without a suffix, for a folder"),
    ("fill clip.npy -m filler", "give --mask, --box or --missing"),
    ("fill clip.npy -m filler --mask none.png", "no such file or folder: none.png"),
    ("fill clip.npy -m filler --mask photo.jpg", "photo.jpg has 21x30 pixels, but clip.npy 16x20: they must be alike"),
    ("fill clip.npy -m filler --mask short.npy", "short.npy has 2 frames, but clip.npy 6"),
    ("fill clip.npy -m filler --box 1,2,3", "box should be"),
    ("fill clip.npy -m filler --box 1,2,30,4", "does not lie in clip.npy, which has 16x20 pixels"),
    ("fill clip.npy -m filler --missing 9", "clip.npy has frames 0 to 5, and no frame 9"),
    ("fill clip.npy -m filler --missing x", "missing should be numbers and ranges of frames"),
    ("fill clip.npy -m restorer --missing 1", "restorer was trained without a mask"),
    ("translate clip.npy", "--model is required"),
]


@pytest.mark.parametrize(("command", "complaint"), MISTAKES)
def test_a_mistake_is_one_line_and_writes_nothing(place, run_vidvox, command, complaint):
    (place / "broken.mp4").write_text("rubbish")
    write_clip(place / "four.npy", moving_clip(2, 8, 8, channels=4), rate=1)
    for name in ("a.npy", "b.npy"):
        write_clip(place / "FILMS" / name, moving_clip(2, 8, 8), rate=1)
    write_clip(place / "short.npy", torch.zeros(2, 1, 16, 20, dtype=torch.uint8), rate=1)
    before = content(place)
    said = run_vidvox(*command.split())
    assert said.code == 2
    assert said.out == ""
    *_, line = said.err.splitlines()
    assert ": error: " in line
    assert complaint in line
    assert "Traceback" not in said.err
    assert content(place) == before


@pytest.mark.usefixtures("place")
def test_a_model_of_another_kind_is_named_with_its_command(run_vidvox):
    said = run_vidvox("restore", "clip.npy", "-m", "vidvox/predict-small")
    assert said.code == 2
    assert "holds a FramePredictor, not the ClipTranslator or TranslatorPair needed" in said.err


def test_little_memory_means_tiles_and_short_windows_but_about_the_same_result(place, run_vidvox):
    write_clip(place / "wide.npy", moving_clip(20, 72, 140), rate=10)
    assert run_vidvox("restore", "wide.npy", "-m", "restorer", "-o", "roomy.npy").code == 0
    assert run_vidvox("restore", "wide.npy", "-m", "restorer", "-o", "tight.npy", "--memory", 0.02).code == 0
    roomy, tight = (read_clip(place / f"{name}.npy").frames.float() for name in ("roomy", "tight"))
    assert not torch.equal(roomy, tight)
    assert (roomy - tight).abs().mean() < 0.5
