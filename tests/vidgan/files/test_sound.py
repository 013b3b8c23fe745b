"""The sound of a film goes with its frames, packet by packet as it was, at the same time."""

from fractions import Fraction
from pathlib import Path

import av
import pytest
from support.translators import moving_clip, sound_of, write_film_with_sound

from vidgan.files.readers import HeldClip
from vidgan.files.sound import has_sound, open_sound
from vidgan.files.video import open_video
from vidgan.files.writers import open_clip

FILMS = [("film.mp4", "aac"), ("film.mkv", "libopus"), ("film.mkv", "flac"), ("film.avi", "mp3"), ("film.mov", "aac")]


def copy(source: Path, target: Path, *, step: int = 7) -> None:
    """The film again, frames in parts of `step`, with its sound."""
    film = open_video(source)
    with open_sound(film) as sound, open_clip(target, frames=film.frames, rate=film.rate, sound=sound) as write:
        for start in range(0, film.frames, step):
            write(film.read(start, min(step, film.frames - start)))


def write_film_with_pause(path: Path, *, seconds: int) -> None:
    """A film of 30 frames, ten a second, the fifteenth of which is held for so much longer."""
    write_film_with_sound(path.with_name("even.mp4"), moving_clip(30, 32, 48))
    with av.open(str(path.with_name("even.mp4"))) as source, av.open(str(path), "w") as target:
        copies = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.dts is None:
                continue
            if packet.stream.type == "video":
                late = round(seconds / packet.time_base)
                times = (packet.pts, packet.dts)
                packet.pts, packet.dts = (each + late * (each * packet.time_base >= 1.5) for each in times)
            packet.stream = copies[packet.stream.index]
            target.mux(packet)


@pytest.mark.parametrize(("name", "codec"), FILMS)
def test_packets_of_sound_are_copied_bit_for_bit_and_in_time(tmp_path, name, codec):
    write_film_with_sound(tmp_path / name, moving_clip(30, 32, 48), codec=codec)
    copy(tmp_path / name, tmp_path / "copy.mp4")
    before, after = sound_of(tmp_path / name), sound_of(tmp_path / "copy.mp4")
    assert len(before) > 20
    assert [content for content, _ in after] == [content for content, _ in before]
    shifts = [new - old for (_, new), (_, old) in zip(after, before, strict=True)]
    assert max(map(abs, shifts)) < 0.002
    written = open_video(tmp_path / "copy.mp4")
    assert (written.frames, written.rate) == (open_video(tmp_path / name).frames, open_video(tmp_path / name).rate)


def test_sound_that_begins_before_the_frames_keeps_its_distance_to_them(tmp_path):
    """The first frame of this film is shown 0.3 seconds after its sound begins."""
    write_film_with_sound(tmp_path / "film.mkv", moving_clip(30, 32, 48), codec="libopus", delay=3)
    copy(tmp_path / "film.mkv", tmp_path / "copy.mp4")
    before, after = sound_of(tmp_path / "film.mkv"), sound_of(tmp_path / "copy.mp4")
    assert [content for content, _ in after] == [content for content, _ in before]
    assert all(abs(new - old + 0.3) < 0.002 for (_, new), (_, old) in zip(after, before, strict=True))


@pytest.mark.parametrize("name", ["film.mkv", "film.avi", "film.mov"])
def test_pcm_is_copied_though_a_film_does_not_name_its_channels(tmp_path, name):
    """An MP4 must name them, and was refused as a whole once all frames were made."""
    write_film_with_sound(tmp_path / name, moving_clip(30, 32, 48), codec="pcm_s16le", layout="stereo")
    copy(tmp_path / name, tmp_path / "copy.mp4")
    before, after = (b"".join(content for content, _ in sound_of(tmp_path / each)) for each in (name, "copy.mp4"))
    assert len(before) == 2 * 2 * 3 * 16000
    assert after == before


@pytest.mark.parametrize("name", ["film.mpg", "film.vob", "film.ts"])
def test_sound_of_a_stream_that_begins_late_keeps_its_distance_to_the_frames(tmp_path, name):
    """Such containers begin at a time above 0, and the stamps of reordered frames are not used in the first two."""
    write_film_with_sound(tmp_path / name, moving_clip(30, 32, 48), codec="mp2")
    with av.open(str(tmp_path / name)) as container:
        begin = min(float(each.pts * each.time_base) for each in container.demux(video=0) if each.pts is not None)
    assert begin > 0.1
    copy(tmp_path / name, tmp_path / "copy.mp4")
    before, after = sound_of(tmp_path / name), sound_of(tmp_path / "copy.mp4")
    assert [content for content, _ in after] == [content for content, _ in before]
    assert all(abs(new - old + begin) < 0.002 for (_, new), (_, old) in zip(after, before, strict=True))


@pytest.mark.parametrize("name", ["film.mp4", "film.mkv"])
def test_sound_goes_on_while_the_picture_stands_still(tmp_path, name):
    write_film_with_pause(tmp_path / name, seconds=15)
    copy(tmp_path / name, tmp_path / "copy.mp4", step=50)
    assert open_video(tmp_path / "copy.mp4").frames == 180
    before, after = sound_of(tmp_path / name), sound_of(tmp_path / "copy.mp4")
    assert [content for content, _ in after] == [content for content, _ in before]


def test_sound_that_does_not_fit_frames_that_are_counted_is_left_out_with_one_line(tmp_path, caplog):
    write_film_with_pause(tmp_path / "film.mkv", seconds=10_000)
    copy(tmp_path / "film.mkv", tmp_path / "copy.mp4")
    (line,) = caplog.messages
    assert "film.mkv: its time stamps jump by 10000.1 seconds and are not believed" in line
    assert "any sound, which does not fit them, is left out" in line
    assert not has_sound(open_video(tmp_path / "film.mkv"))
    assert not sound_of(tmp_path / "copy.mp4")
    assert open_video(tmp_path / "copy.mp4").frames == 30


def test_sound_and_frames_are_interleaved(tmp_path):
    """A player needs not look far ahead for either."""
    write_film_with_sound(tmp_path / "film.mp4", moving_clip(100, 32, 32))
    copy(tmp_path / "film.mp4", tmp_path / "copy.mp4")
    with av.open(str(tmp_path / "copy.mp4")) as container:
        packets = sorted((each for each in container.demux() if each.size), key=lambda each: each.pos or 0)
        kinds = [each.stream.type for each in packets]
    half = len(kinds) // 2
    assert {"audio", "video"} == set(kinds[:half]) == set(kinds[half:])


def test_a_codec_that_an_mp4_cannot_hold_is_left_out_with_one_line(tmp_path, caplog):
    write_film_with_sound(tmp_path / "film.avi", moving_clip(10, 32, 48), codec="pcm_mulaw")
    copy(tmp_path / "film.avi", tmp_path / "copy.mp4")
    (line,) = caplog.messages
    assert "film.avi: the sound is left out, as an MP4 cannot hold pcm_mulaw" in line
    assert not sound_of(tmp_path / "copy.mp4")
    assert open_video(tmp_path / "copy.mp4").frames == 10


def test_a_film_that_is_cut_short_keeps_the_sound_that_can_be_read(tmp_path):
    write_film_with_sound(tmp_path / "whole.mkv", moving_clip(60, 32, 48), codec="flac")
    content = (tmp_path / "whole.mkv").read_bytes()
    (tmp_path / "film.mkv").write_bytes(content[: len(content) * 2 // 3])
    copy(tmp_path / "film.mkv", tmp_path / "copy.mp4")
    whole, kept = sound_of(tmp_path / "whole.mkv"), sound_of(tmp_path / "copy.mp4")
    assert 10 < len(kept) < len(whole)
    assert [content for content, _ in kept[:-1]] == [content for content, _ in whole[: len(kept) - 1]]


def test_what_goes_wrong_beside_the_sound_is_not_blamed_on_the_film(tmp_path):
    write_film_with_sound(tmp_path / "film.mp4", moving_clip(10, 32, 48))
    with pytest.raises(OSError, match=r"^no space left$"), open_sound(open_video(tmp_path / "film.mp4")):
        raise OSError("no space left")


def test_what_is_no_film_has_no_sound(tmp_path):
    silent = HeldClip(moving_clip(3, 8, 8), Fraction(10))
    write_film_with_sound(tmp_path / "film.mp4", moving_clip(10, 32, 48))
    assert not has_sound(silent)
    assert has_sound(open_video(tmp_path / "film.mp4"))
    with open_sound(silent) as sound:
        assert sound is None
    with open_clip(tmp_path / "mute.mp4", frames=3, rate=10) as write:
        write(silent.values)
    with open_sound(open_video(tmp_path / "mute.mp4")) as sound:
        assert sound is None
