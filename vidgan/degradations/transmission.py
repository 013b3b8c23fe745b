"""Transmission errors: H.264 in slices, some of which are lost or arrive with wrong bits.

The decoder conceals what it misses, by motion from the frames before, and the damage lasts and spreads as later frames
build on it. Severities 1 to 5 are the rates of Mini Kinetics-C (Yi et al. 2021).
"""

import re
from collections.abc import Callable, Sequence

import av
import numpy as np

from vidgan.degradations.codecs import H264, H264_CRF, Images, through_codec
from vidgan.degradations.degraded import DegradedClip, require_picture_channels
from vidgan.degradations.severity import interpolate, walk_severity
from vidgan.frames import Frames

PACKET_LOSS = (0.0, 0.01, 0.02, 0.03, 0.04, 0.06)
"""Share of the slices that are lost."""
BIT_ERRORS = (0.0, 1 / 100_000, 1 / 50_000, 1 / 30_000, 1 / 20_000, 1 / 10_000)
"""Share of the bits that are wrong."""
SLICE_ROWS = 16
"""Height of a slice in pixels, a row of macroblocks."""
MOST_SLICES = 32
SLICE_TYPES = (1, 5)
"""Units of a stream that hold parts of pictures, of other and of key frames. Those that describe the stream always
arrive, as they are sent apart."""

Damage = Callable[[bytes], bytes | None]
"""What becomes of a slice; None if it is lost."""


def lose_packets(frames: Frames, random: np.random.Generator, severity: float) -> DegradedClip:
    """Slices that do not arrive."""
    require_picture_channels(frames, "packet-loss")
    share = float(interpolate(PACKET_LOSS, walk_severity(random, severity, 1))[0])
    return DegradedClip(
        through_codec(frames, H264, lambda images: send(images, lambda unit: lose(unit, random, share)))
    )


def flip_bits(frames: Frames, random: np.random.Generator, severity: float) -> DegradedClip:
    """Slices in which bits are wrong."""
    require_picture_channels(frames, "bit-errors")
    share = float(interpolate(BIT_ERRORS, walk_severity(random, severity, 1))[0])
    return DegradedClip(
        through_codec(frames, H264, lambda images: send(images, lambda unit: corrupt(unit, random, share)))
    )


def lose(unit: bytes, random: np.random.Generator, share: float) -> bytes | None:
    """None with this probability, else the unit."""
    return None if random.random() < share else unit


def corrupt(unit: bytes, random: np.random.Generator, share: float) -> bytes:
    """The unit with about this share of its bits flipped."""
    content = np.frombuffer(unit, np.uint8).copy()
    wrong = random.integers(8 * len(content), size=random.binomial(8 * len(content), share))
    np.bitwise_xor.at(content, wrong // 8, (1 << wrong % 8).astype(np.uint8))
    return content.tobytes()


def send(images: Images, damage: Damage) -> Images:
    """Compresses a film with a constant rate factor of 23, damages its slices, and decodes what is left."""
    slices = min(max(images.shape[1] // SLICE_ROWS, 1), MOST_SLICES)
    packets = H264.encode(images, crf=str(H264_CRF[1]), bf="0", slices=str(slices))
    arrived = [_damage_packet(packet, damage) for packet in packets]
    return H264.decode([packet for packet in arrived if packet is not None], *images.shape[:3])


def _damage_packet(packet: av.Packet, damage: Damage) -> av.Packet | None:
    kept = []
    for unit in split_units(bytes(packet)):
        arrived = damage(unit) if unit[0] & 31 in SLICE_TYPES else unit
        if arrived is not None:
            kept.append(arrived)
    if not kept:  # an empty packet would tell the decoder that the film ends
        return None
    changed = av.Packet(b"".join(b"\x00\x00\x00\x01" + unit for unit in kept))
    changed.pts, changed.dts, changed.time_base = packet.pts, packet.dts, packet.time_base
    return changed


def split_units(stream: bytes) -> Sequence[bytes]:
    """The units of a stream of H.264 between its start codes (ITU-T H.264, annex B)."""
    return [unit for unit in re.split(rb"\x00{2,}\x01", stream) if unit]
