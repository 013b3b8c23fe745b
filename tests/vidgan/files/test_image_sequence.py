"""Pictures become videos: numbered files in the order of their numbers, all pages of stacks, folders of zips."""

import re
import struct
import zipfile
import zlib
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gancore.errors import UnreadableError
from gancore.files.limits import VideoLimits
from vidgan.files.image_sequence import open_image_strip
from vidgan.files.readers import sort_naturally
from vidgan.files.video import open_video, read_clip


def numbers(clip) -> list[int]:
    return (clip.frames[:, 0].float().mean((1, 2)) / 8).round().int().tolist()


def picture(number: int) -> Image.Image:
    return Image.new("RGB", (16, 12), (8 * number,) * 3)


def zipped(path: Path, names: list[str], **options) -> Path:
    """A zip whose pictures are numbered in the order of their names."""
    picture_file = path.with_suffix(".png")
    with zipfile.ZipFile(path, "w", **options) as archive:
        for number, name in enumerate(names):
            picture(number).save(picture_file)
            archive.write(picture_file, name)
    picture_file.unlink()
    return path


@pytest.mark.parametrize(
    "names",
    [
        ["0.25.png", "0.5.png", "1.0.png", "10.0.png"],
        ["frame-10.png", "frame-5.png", "frame0.png", "frame5.png"],
        ["frame-1.png", "frame-2.png", "frame-10.png"],
        ["-10.png", "-5.png", "0.png", "5.png"],
        ["1.9.png", "1.10.png", "1.11.png", "2.1.png"],
        ["2.png", "10.png", "1²2.png"],
        ["2021-05-04.png", "2021-05-10.png"],
        ["run2_frame9.png", "run2_frame10.png", "run10_frame1.png"],
        ["1.png", f"{'9' * 300}.png", f"1{'0' * 300}.png"],
    ],
)
def test_names_are_ordered_by_their_numbers(names):
    assert sort_naturally(reversed(names)) == names


def test_numbers_of_any_length_are_ordered():
    names = ["1" + "0" * 5000 + ".png", "2.png"]
    assert sort_naturally(names) == names[::-1]


@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.webp"])
def test_all_pages_of_a_picture_are_frames(tmp_path, name):
    pages = [picture(number) for number in range(7)]
    options = {} if name == "a.tif" else {"duration": 40, "lossless": True}
    pages[0].save(tmp_path / name, save_all=True, append_images=pages[1:], **options)
    clip = read_clip(tmp_path / name)
    assert numbers(clip) == list(range(7))
    assert clip.rate == (10 if name == "a.tif" else 25)
    assert numbers(read_clip(tmp_path / name, start=1, frames=3, stride=2)) == [1, 3, 5]
    assert numbers(read_clip(tmp_path)) == list(range(7))


def animation(path: Path, durations: list[int], **options) -> Path:
    """A picture whose pages are held for so many milliseconds."""
    pages = [picture(number) for number in range(len(durations))]
    pages[0].save(path, save_all=True, append_images=pages[1:], duration=durations, **options)
    return path


HELD = [0, 1] + [2] * 11 + [3] * 10 + [4, 5]
"""Pages of 100 milliseconds, the third of which is held for 2000: each frame shows the page that is nearest in time."""


@pytest.mark.parametrize(
    ("name", "options"),
    [("a.png", {}), ("a.webp", {"lossless": True}), ("a.gif", {}), ("gif.png", {"format": "GIF"})],
)
def test_a_page_is_shown_for_as_long_as_it_is_held(tmp_path, name, options):
    path = animation(tmp_path / name, [100, 100, 2000, 100, 100, 100], **options)
    clip = read_clip(path)
    assert clip.rate == 10
    assert numbers(clip) == HELD
    assert numbers(read_clip(path, start=5, frames=4, stride=6)) == HELD[5::6]


def test_a_picture_for_those_who_see_no_animation_is_no_page(tmp_path):
    durations = [100, 100, 2000, 100, 100, 100]
    animation(tmp_path / "a.png", [*durations, 0], default_image=True)  # Pillow counts durations from the second on
    assert numbers(read_clip(tmp_path / "a.png")) == [number + 1 for number in HELD]


@pytest.mark.parametrize("name", ["a.png", "a.webp"])
def test_pages_without_a_duration_are_frames_at_the_usual_rate(tmp_path, name):
    clip = read_clip(animation(tmp_path / name, [0] * 5))
    assert (clip.rate, numbers(clip)) == (10, [0, 1, 2, 3, 4])


def test_a_rate_that_microseconds_round_is_exact(tmp_path):
    path = animation(tmp_path / "a.png", [40] * 5)
    content = path.read_bytes()
    assert content.count(struct.pack(">2H", 1, 25)) == 5
    for at in [match.start() for match in re.finditer(b"fcTL", content)]:
        control = content[at : at + 24] + struct.pack(">2H2x", 1001, 30000)
        content = content[:at] + control + struct.pack(">I", zlib.crc32(control)) + content[at + 34 :]
    path.write_bytes(content)
    assert open_video(path).rate == Fraction(30000, 1001)


@pytest.mark.parametrize("name", ["a.png", "a.webp"])
def test_a_page_held_for_hours_is_counted_with_one_line(tmp_path, caplog, name):
    clip = read_clip(animation(tmp_path / name, [100, 100, 100, 100, 15_000_000, 100, 100]))
    assert (clip.rate, numbers(clip)) == (10, [0, 1, 2, 3, 4, 5, 6])
    (line,) = caplog.messages
    assert f"{name}: a page held for 15000 seconds is not believed; pages are counted" in line


def test_a_picture_that_holds_fewer_pages_than_it_states_is_refused(tmp_path):
    path = animation(tmp_path / "a.png", [100] * 5)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UnreadableError, match=r"a\.png states 5 pages and holds \d"):
        read_clip(path)


def test_a_preview_is_no_page_and_stacks_are_not_mixed_with_pictures(tmp_path):
    preview = Image.new("RGB", (4, 3))
    preview.encoderinfo = {"tiffinfo": {254: 1}}
    picture(3).save(tmp_path / "b.tif", save_all=True, append_images=[preview])
    assert numbers(read_clip(tmp_path / "b.tif")) == [3]
    picture(0).save(tmp_path / "c.tif", save_all=True, append_images=[picture(1)])
    with pytest.raises(UnreadableError, match=r"c\.tif has 2 pages, and lies among pictures of one"):
        read_clip(tmp_path)


def test_a_folder_of_stacks_is_a_folder_of_videos(tmp_path):
    for name in ("a.tif", "b.tif"):
        picture(0).save(tmp_path / name, save_all=True, append_images=[picture(1)])
    with pytest.raises(ValueError, match=r"is a folder of videos \(a\.tif, b\.tif\): name one of them"):
        open_video(tmp_path)


def test_of_several_folders_in_a_zip_one_is_named(tmp_path):
    path = zipped(tmp_path / "a.zip", ["walk/0.png", "walk/1.png", "run/0.png", "run/1.png", "__MACOSX/run/._0.png"])
    with pytest.raises(UnreadableError, match=r"a\.zip holds 2 videos: name one, .*a\.zip::run, .*a\.zip::walk"):
        read_clip(path)
    assert numbers(read_clip(f"{path}::run")) == [2, 3]
    with pytest.raises(UnreadableError, match="no pictures in a folder fly"):
        read_clip(f"{path}::fly")


def test_a_zip_that_python_cannot_read_is_refused_by_name(tmp_path):
    path = zipped(tmp_path / "a.zip", ["0.png", "1.png"])
    content = path.read_bytes()
    for at, value, complaint in (
        (6, 1, r"0\.png is encrypted"),
        (8, 9, r"0\.png is compressed by method 9, which Python cannot read"),
    ):
        broken = bytearray(content)
        central = broken.index(b"PK\x01\x02")
        broken[at : at + 2] = broken[central + at + 2 : central + at + 4] = struct.pack("<H", value)
        path.write_bytes(broken)
        with pytest.raises(UnreadableError, match=rf"cannot read .*a\.zip as a zip: {complaint}"):
            read_clip(path)


def test_a_zip_with_a_name_twice_or_a_bomb_is_refused(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = zipped(tmp_path / "a.zip", ["0.png", "1.png", "0.png"])
    with pytest.raises(UnreadableError, match=r"a\.zip holds two files called 0\.png"):
        read_clip(path)
    with zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("0.png", bytes(10_000_000))
    with pytest.raises(UnreadableError, match=r"0\.png in .*b\.zip has 10 MB, more than .* max_megapixels lets it in"):
        read_clip(tmp_path / "b.zip", limits=VideoLimits(max_megapixels=0.5))
    with pytest.raises(UnreadableError, match=r"cannot read 0\.png in .*b\.zip as a picture"):
        read_clip(tmp_path / "b.zip")


def test_members_named_outside_are_read_and_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = zipped(tmp_path / "a.zip", ["../out/0.png", "/out/1.png", "out\\2.png"])
    assert numbers(read_clip(path)) == [0, 1, 2]
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.zip"]


def test_a_strip_of_a_phone_is_cut_as_it_is_shown(tmp_path):
    strip = np.zeros((8, 24, 3), np.uint8)
    strip[:, 8:16], strip[:, 16:] = 80, 160
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(np.ascontiguousarray(np.rot90(strip))).save(tmp_path / "a.png", exif=exif)
    opened = open_image_strip(str(tmp_path / "a.png"))
    assert opened.read(0, 3)[:, 0, 0, 0].tolist() == [0, 80, 160]
