"""What single kinds promise: how they move, what they keep, and what a broken stream may do."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from vidgan.data.dataset import BUNDLED_CLIP
from vidgan.degradations import haze, severity
from vidgan.degradations.blur import draw_trail
from vidgan.degradations.codecs import H264, H265, MPEG4
from vidgan.degradations.gaps import draw_bursts, draw_holes
from vidgan.degradations.kinds import degrade
from vidgan.degradations.second_order import KERNELS, draw_kernel, draw_sinc
from vidgan.degradations.transmission import corrupt, send, split_units
from vidgan.files.video import read_clip
from vidgan.frames import resize_and_crop


@pytest.fixture(scope="module")
def clip() -> Tensor:
    """20 frames of a street, 64 x 64 pixels."""
    return resize_and_crop(read_clip(BUNDLED_CLIP, frames=20).frames, 64, 64).contiguous()


@pytest.fixture(scope="module")
def images(clip) -> np.ndarray:
    return np.ascontiguousarray(clip.movedim(1, 3).numpy())


# ------------------------------------------------------------------------------------------------------------ severity


def test_a_severity_starts_near_the_one_asked_for_and_drifts_slowly():
    walks = np.stack([severity.walk_severity(np.random.default_rng(seed), 2.0, 500) for seed in range(200)])
    drift = np.log(walks / 2)
    assert np.abs(drift[:, 0]).max() <= severity.START_SPREAD
    assert drift[:, 0].std() == pytest.approx(severity.START_SPREAD / 3**0.5, rel=0.15)
    assert np.abs(drift).max() <= severity.LIMIT
    assert np.diff(drift).std() == pytest.approx(severity.STEP, rel=0.05)
    assert severity.walk_severity(np.random.default_rng(0), 5.0, 500).max() <= 5


def test_published_severities_are_met_and_those_between_lie_between():
    levels, at = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0), np.array([0.0, 1.0, 1.5, 5.0])
    assert severity.interpolate(levels, at).tolist() == [1, 2, 3, 32]
    assert severity.interpolate_ratios(levels, at).tolist() == pytest.approx([1, 2, 8**0.5, 32])


# ------------------------------------------------------------------------------------------------ weather, blur, light


def test_haze_that_transmits_everything_is_the_identity():
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 3, 5, 7)).astype(np.float32)
    assert np.array_equal(haze.add_haze(pixels, np.ones((2, 1, 5, 7), np.float32), 200.0), pixels)
    assert np.all(haze.add_haze(pixels, np.zeros((2, 1, 5, 7), np.float32), 200.0) == 200)


@pytest.mark.parametrize("kind", ["fog", "smoke"])
def test_clouds_differ_from_place_to_place_and_drift(kind):
    black = torch.zeros(30, 1, 48, 64, dtype=torch.uint8)
    seen = degrade(black, kind, severity=4, seed=3).frames[:, 0].float()
    assert (seen[0].max() - seen[0].min()) > 50

    def alike(other: Tensor) -> float:
        return float(torch.corrcoef(torch.stack([seen[0].flatten(), other.flatten()]))[0, 1])

    assert alike(seen[1]) > 0.95
    assert alike(seen[29]) < alike(seen[5]) < alike(seen[1])


@pytest.mark.parametrize("kind", ["snow", "dust"])
def test_flakes_move_on_from_frame_to_frame(kind):
    black = torch.zeros(2, 3, 96, 96, dtype=torch.uint8)
    first, second = degrade(black, kind, severity=2, seed=1).frames.float().mean(1)
    still = float((first - second).abs().mean())
    elsewhere = float((first - second.flip(0, 1)).abs().mean())
    assert 0 < still < elsewhere


def test_rain_falls_by_its_length_so_that_no_two_frames_show_it_at_the_same_place():
    black = torch.zeros(2, 1, 96, 96, dtype=torch.uint8)
    first, second = degrade(black, "rain", severity=2, seed=1).frames[:, 0].float()
    assert float((first * second > 0).float().mean()) < 0.5 * float((first > 0).float().mean())
    vertical = (first[1:] - first[:-1]).abs().mean()
    assert float(vertical) < 0.6 * float((first[:, 1:] - first[:, :-1]).abs().mean())


def test_a_rain_that_lasts_has_no_period():
    black = torch.zeros(120, 1, 16, 16, dtype=torch.uint8)
    frames = degrade(black, "rain", severity=3, seed=1).frames
    assert len({bytes(frame.numpy().tobytes()) for frame in frames}) == len(frames)


def test_lengths_of_blur_are_those_for_224_pixels_scaled_to_the_frame():
    edge = torch.zeros(1, 1, 224, 224, dtype=torch.uint8)
    edge[..., 112:] = 255
    half = edge[..., ::2, ::2]
    for frames in (edge, half):
        slope = degrade(frames, "blur", severity=3, seed=0).frames[0, 0, 50].float().diff()
        places = torch.arange(len(slope)).float()
        mean = (slope * places).sum() / slope.sum()
        deviation = float(((slope * (places - mean) ** 2).sum() / slope.sum()).sqrt())
        assert deviation == pytest.approx(3 * len(frames[0, 0]) / 224, rel=0.15)


def test_the_trail_of_a_motion_is_as_long_and_lies_as_it_is_told():
    kernel = draw_trail(8.0, 1e6, math.pi / 6)
    assert kernel.sum() == pytest.approx(1)
    rows, columns = (np.arange(side) - side // 2 for side in kernel.shape)
    y, x = (kernel.sum(1) * rows).sum(), (kernel.sum(0) * columns).sum()
    assert (y, x) == (
        pytest.approx(4 * math.sin(math.pi / 6), abs=0.01),
        pytest.approx(4 * math.cos(math.pi / 6), abs=0.01),
    )


@pytest.mark.parametrize("kind", KERNELS)
def test_kernels_have_sum_1_and_the_widths_and_angle_they_are_drawn_with(kind):
    kernel = draw_kernel(21, kind, 2.0, 1.0, math.pi / 2, 1.0).astype(float)
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    along = np.arange(21) - 10
    vertical, horizontal = ((kernel.sum(axis) * along**2).sum() for axis in (1, 0))
    assert vertical > 1.5 * horizontal
    if not kind.startswith("plateau"):
        assert vertical**0.5 == pytest.approx(2, rel=0.05)


def test_a_sinc_keeps_a_flat_picture_and_rings():
    kernel = draw_sinc(21, math.pi / 2)
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    assert kernel.min() < -0.001


def test_grey_keeps_the_luminance_in_equal_channels(clip):
    grey = degrade(clip, "grey", seed=0).frames.float()
    assert torch.equal(grey[:, 0], grey[:, 1])
    assert torch.equal(grey[:, 0], grey[:, 2])
    luminance = (clip.float() * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1)
    assert float((grey[:, 0] - luminance).abs().max()) <= 0.5


def test_night_is_dark_and_blue(clip):
    before, after = (frames.float().mean((0, 2, 3)) for frames in (clip, degrade(clip, "night", seed=0).frames))
    assert float(after.mean() / before.mean()) < 0.4
    assert float(after[2] / after[0]) > 1.3 * float(before[2] / before[0])


def test_frames_flicker_as_wholes(clip):
    flat = torch.full_like(clip, 128)
    seen = degrade(flat, "flicker", severity=4, seed=0).frames
    assert torch.equal(seen, seen[:, :1, :1, :1].expand_as(seen))
    assert seen[:, 0, 0, 0].float().std() > 10


# ---------------------------------------------------------------------------------------------------------------- gaps


def test_lost_frames_are_black_and_known_to_be_lost_and_one_is_left(clip):
    shares = []
    for seed in range(40):
        spoilt = degrade(clip, "dropped", severity=5, seed=seed)
        known = spoilt.known.flatten(1)
        assert torch.equal(known.all(1), known.any(1))
        assert torch.equal(torch.where(spoilt.known, clip, 0), spoilt.frames)
        shares.append(1 - float(known.float().mean()))
    assert np.mean(shares) == pytest.approx(0.4, abs=0.04)
    assert all(degrade(clip[:1], "dropped", severity=5, seed=seed).known.all() for seed in range(20))


def test_frozen_frames_repeat_the_last_one_that_was_not_and_nothing_says_which(clip):
    spoilt = degrade(clip, "frozen", severity=5, seed=1)
    assert spoilt.known is None
    assert torch.equal(spoilt.frames[0], clip[0])
    last = 0
    for t, frame in enumerate(spoilt.frames):
        last = t if torch.equal(frame, clip[t]) else last
        assert torch.equal(frame, clip[last])
    assert last > 0


def test_bursts_are_as_many_frames_as_asked_for():
    counts = [draw_bursts(np.random.default_rng(seed), 10, 0.25, first=1).sum() for seed in range(400)]
    assert set(counts) == {2, 3}
    assert np.mean(counts) == pytest.approx(2.5, abs=0.1)
    assert not any(draw_bursts(np.random.default_rng(seed), 10, 0.9, first=1)[0] for seed in range(20))


def test_holes_are_grey_known_to_be_lost_and_move(clip):
    spoilt = degrade(clip, "holes", severity=3, seed=2)
    assert torch.equal(spoilt.frames, torch.where(spoilt.known, clip, 128))
    shares = [float((~degrade(clip[:1], "holes", severity=3, seed=seed).known).float().mean()) for seed in range(40)]
    assert 0.2 < np.mean(shares) < 0.32
    assert not torch.equal(spoilt.known[0], spoilt.known[-1])
    changed = (spoilt.known[1:] != spoilt.known[:-1]).flatten(1).float().mean(1)
    assert float(changed.max()) < 0.15


def test_holes_know_height_from_width_and_favour_no_corner():
    masks = np.stack([draw_holes(np.random.default_rng(seed), 1, 24, 72, share=0.2)[0] for seed in range(400)])
    mean = masks.mean(0)
    assert mean.shape == (24, 72)
    for mirrored in (mean[::-1], mean[:, ::-1]):
        assert np.abs(mean - mirrored).max() < 0.16
    assert mean[:, :8].mean() > 0.3 * mean.mean()


# -------------------------------------------------------------------------------------------------------------- codecs


@pytest.mark.parametrize("codec", [H264, H265, MPEG4], ids=lambda codec: codec.encoder)
def test_a_codec_returns_every_frame_in_its_place(codec, images):
    bright = np.repeat(np.arange(20, 220, 10, dtype=np.uint8), 64 * 64 * 3).reshape(images.shape)
    decoded = codec.decode(codec.encode(bright, bit_rate=200_000), *bright.shape[:3])
    assert np.abs(decoded.astype(int).mean((1, 2, 3)) - bright.astype(int).mean((1, 2, 3))).max() < 4


@pytest.mark.parametrize("kind", ["h264", "h265", "second-order", "packet-loss", "bit-errors"])
@pytest.mark.parametrize("size", [(64, 64), (38, 50), (20, 30), (33, 97)])
def test_compression_is_the_same_every_time(kind, size, clip):
    frames = resize_and_crop(clip[:6], *size)
    made = [degrade(frames, kind, severity=4, seed=seed).frames for seed in (1, 2, 3) for _ in range(3)]
    for seed in range(3):
        assert all(torch.equal(made[3 * seed], other) for other in made[3 * seed : 3 * seed + 3])


def test_frames_that_do_not_arrive_repeat_the_one_before(images):
    packets = H264.encode(images, crf="20", bf="0")
    whole = H264.decode(packets, *images.shape[:3])
    cut = H264.decode(packets[:12], *images.shape[:3])
    assert np.array_equal(cut[:12], whole[:12])
    assert np.array_equal(cut[12:], np.repeat(whole[11:12], len(images) - 12, 0))
    assert not H264.decode([], *images.shape[:3]).any()


def test_damage_stays_in_the_stream_and_grows(images):
    sent = send(images, lambda unit: unit)
    lost = iter(range(10**6))
    hurt = send(images, lambda unit: None if next(lost) == 4 * 5 else unit)
    differing = (sent != hurt).any((1, 2, 3))
    assert not differing[:5].any()
    assert differing[5:].all()


def test_no_damage_crashes_or_hangs_the_decoder(images):
    for seed in range(12):
        random = np.random.default_rng(seed)
        rate = 10.0 ** random.uniform(-4, -1)
        made = send(images[:6], lambda unit, random=random, rate=rate: corrupt(unit, random, rate))
        assert made.shape == images[:6].shape
    assert not send(images[:3], lambda _: None).any()


def test_units_of_a_stream_are_split_at_their_start_codes():
    assert split_units(b"\0\0\0\1\x67ab\0\0\1\x65c\0\2\0\0\0\1\x41") == [b"\x67ab", b"\x65c\0\2", b"\x41"]


def test_wrong_bits_are_as_many_as_asked_for():
    unit = bytes(10_000)
    wrong = np.unpackbits(np.frombuffer(corrupt(unit, np.random.default_rng(0), 0.01), np.uint8)).sum()
    assert 650 < wrong < 950
