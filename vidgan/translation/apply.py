"""Translates videos of any length and size in windows and tiles, which are blended without visible seams."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from vidgan.files.readers import HeldClip, VideoReader
from vidgan.frames import convert_channels, to_float, to_uint8
from vidgan.networks.translator import ClipTranslator, Memory, enlarge, luminance
from vidgan.translation.lost_frames import LostFrames
from vidgan.translation.masks import KnownReader
from vidgan.translation.windows import Span, Windows, plan_windows

Frames = UInt8[Tensor, "time channel height width"]
Target = UInt8[Tensor, "time target_channel target_height target_width"]
Mask = Bool[Tensor, "time 1 height width"]
GIGABYTES = 2.0
"""Memory that the work on a window may take, beside the program itself."""


class Part(NamedTuple):
    """Consecutive frames of a film, and what was made of them."""

    source: Frames
    target: Target


def translate_film(
    network: ClipTranslator,
    film: VideoReader,
    *,
    known: KnownReader | None = None,
    strength: float = 1.0,
    gigabytes: float = GIGABYTES,
    windows: Windows | None = None,
) -> Iterator[Part]:
    """Translates a film and yields its frames in order, part by part, as soon as they are computed.

    Frames that depend on later ones are computed in windows that overlap, and fade from one window to the next; a
    causal translator carries on from window to window, and makes the same of the film as in one piece. Lost frames, of
    which `known` knows nothing, are made of the nearest others (`LostFrames`) unless the translator is causal. Grey
    frames become RGB for a translator of RGB, colours become grey for one that learned to colour grey frames, and one
    of grey frames changes the luminance of colours. `strength` in [0, 1] blends the result with the source, enlarged to
    its size. `windows` are chosen to take about `gigabytes` if not given.

    Raises ValueError if the film cannot be read, its channels or mask do not fit the translator, or a result is not
    finite.
    """
    if not 0 <= strength <= 1:
        raise ValueError(f"strength must be in [0, 1], got {strength}")
    _check_channels(network, film.channels, masked=known is not None)
    height, width = film.read(0, 1).shape[2:]
    plan = windows or plan_windows(
        network.config, network.shape, frames=film.frames, height=height, width=width, gigabytes=gigabytes
    )
    source = _Feed(film, known, makes_up=not network.is_causal)
    joiner = _Joiner(network, plan)
    for number, (start, stop) in enumerate(plan.spans):
        frames, given, mask = source.window(start, stop)
        keep = plan.spans[number + 1][0] - start if number + 1 < len(plan.spans) else stop - start
        target = joiner.join(_prepare(network, given), mask, keep=keep)
        yield Part(frames[:keep], _finish(network, frames[:keep], target, strength))


def translate_clip(
    network: ClipTranslator,
    clip: Frames,
    *,
    known: Mask | None = None,
    strength: float = 1.0,
    gigabytes: float = GIGABYTES,
) -> Target:
    """The whole result for a clip in memory, which is left as it is; see `translate_film`."""
    mask = None if known is None else HeldMask(known)
    parts = translate_film(network, HeldClip(clip), known=mask, strength=strength, gigabytes=gigabytes)
    return torch.cat([part.target for part in parts])


@dataclass(frozen=True)
class HeldMask:
    """A mask in memory."""

    values: Mask

    def read(self, start: int, count: int) -> Mask:
        return self.values[start : start + count]


class _Window(NamedTuple):
    """Frames of a film as they are, as they are given to a translator, and which of their pixels that can rely on."""

    frames: Frames
    given: Frames
    mask: Mask | None


class _Feed:
    """Reads every frame of a film once, and keeps those that the next window shows again."""

    def __init__(self, film: VideoReader, known: KnownReader | None, *, makes_up: bool):
        """`makes_up` says whether lost frames are made up here."""
        self.film, self.known, self.start = film, known, 0
        self.lost = LostFrames(film, known) if known is not None and makes_up else None
        self.kept: _Window | None = None

    def window(self, start: int, stop: int) -> _Window:
        """Frames start to stop; windows come in ascending order."""
        first = start if self.kept is None else self.start + len(self.kept.frames)
        fresh = self._read(first, stop - first)
        if (kept := self.kept) is not None:
            again = slice(start - self.start, None)
            mask = None
            if kept.mask is not None and fresh.mask is not None:
                mask = torch.cat([kept.mask[again], fresh.mask])
            frames, given = torch.cat([kept.frames[again], fresh.frames]), torch.cat([kept.given[again], fresh.given])
            fresh = _Window(frames, given, mask)
        self.kept, self.start = fresh, start
        return fresh

    def _read(self, first: int, count: int) -> _Window:
        frames = self.film.read(first, count)
        if self.known is None:
            return _Window(frames, frames, None)
        mask = self.known.read(first, count)
        given, mask = (frames, mask) if self.lost is None else self.lost.fill(first, frames, mask)
        return _Window(frames, given, mask)


class _Joiner:
    """Translates one window after the other, tile by tile."""

    def __init__(self, network: ClipTranslator, plan: Windows):
        self.network, self.plan = network, plan
        self.device = next(network.parameters()).device
        self.memories: dict[tuple[Span, Span], Memory] = {}
        self.tail: Tensor | None = None

    @torch.inference_mode()
    def join(self, frames: Frames, mask: Mask | None, *, keep: int) -> Tensor:
        """The first `keep` frames of what a window becomes; the rest fades into the next window."""
        made = self._translate_window(frames, mask)
        if self.tail is not None and len(self.tail):
            made[: len(self.tail)] = fade(self.tail, made[: len(self.tail)])
        self.tail = made[keep:].clone()
        return made[:keep]

    def _translate_window(self, frames: Frames, mask: Mask | None) -> Tensor:
        tiles, scale = list(self.plan.tiles), self.network.shape.scale
        if len(tiles) == 1:
            return to_uint8(self._translate_tile(frames, mask, tiles[0])).cpu()
        height, width = (scale * side for side in frames.shape[2:])
        total = torch.zeros(len(frames), frames.shape[1], height, width)
        for rows, columns in tiles:
            made = self._translate_tile(frames, mask, (rows, columns)).cpu()
            made *= weigh(rows, scale)[:, None] * weigh(columns, scale)
            down, across = (slice(scale * span.start, scale * span.stop) for span in (rows, columns))
            total[..., down, across] += made
        return to_uint8(total)

    def _translate_tile(self, frames: Frames, mask: Mask | None, tile: tuple[Span, Span]) -> Float[Tensor, "t c h w"]:
        down, across = (slice(span.start, span.stop) for span in tile)
        source = to_float(frames[..., down, across].to(self.device))[None]
        known = None if mask is None else mask[..., down, across].to(self.device)[None]
        if self.network.is_causal:
            made, self.memories[tile] = self.network.carry_on(source, known, self.memories.get(tile))
        else:
            made = self.network(source, known)
        if not torch.isfinite(made).all():
            raise ValueError("this model makes values that are not finite: it was trained badly, or is damaged")
        return made[0].float().clamp(-1, 1)


def fade(earlier: Frames, later: Frames) -> Frames:
    """From one window to the next, where both show the same frames: in the middle half, as the ends are less sure."""
    count = len(earlier)
    share = ((torch.arange(count) + 0.5) / count * 2 - 0.5).clamp(0, 1)[:, None, None, None]
    return torch.lerp(earlier.float(), later.float(), share).round().to(torch.uint8)


def weigh(span: Span, scale: int) -> Float[Tensor, " length"]:
    """The weight of each target pixel of a tile along one axis; those of neighbouring tiles sum to 1.

    One tile fades into the next within a quarter of the margin of their border: what lies further out knows too little
    of what is beyond.
    """
    at = (torch.arange(scale * (span.stop - span.start)) + 0.5) / scale + span.start
    weight = torch.ones(len(at))
    if before := span.core_start - span.start:
        weight *= (2 * (at - span.core_start) / before + 0.5).clamp(0, 1)
    if after := span.stop - span.core_stop:
        weight *= (2 * (span.core_stop - at) / after + 0.5).clamp(0, 1)
    return weight


# ------------------------------------------------------------------------------------------------------------ channels


def _check_channels(network: ClipTranslator, channels: int, *, masked: bool) -> None:
    """Raise ValueError unless frames of so many channels can be translated, with a mask if they are `masked`."""
    wanted = network.shape.channels
    if channels != wanted and {channels, wanted} != {1, 3}:
        raise ValueError(f"this model takes frames of {wanted} channels, which {channels} cannot become")
    if masked and not network.shape.masked:
        raise ValueError("this model was trained without a mask, so that it cannot fill what is marked as unknown")
    if masked and (channels, wanted) == (3, 1):
        raise ValueError("this model fills grey frames, and cannot know the colour of what is missing in these")


def _prepare(network: ClipTranslator, frames: Frames) -> UInt8[Tensor, "time _channel height width"]:
    """Frames as the translator knows them: of its channels, and without colour if it learned to add that."""
    channels, spoilt = network.shape.channels, network.shape.degradations
    if channels == frames.shape[1] == 3 and spoilt and all("grey" in name.split("+") for name in spoilt):
        frames = convert_channels(frames, 1)
    return convert_channels(frames, channels)


def _finish(
    network: ClipTranslator, source: Frames, target: Target, strength: float
) -> UInt8[Tensor, "time _channel target_height target_width"]:
    """The result with the colours of the source if the translator changed only its luminance, and as much of the source
    as `strength` leaves."""
    lends_colour = source.shape[1] == 3 and target.shape[1] == 1 and network.config.output == "residual"
    if not lends_colour and strength == 1:
        return target
    return torch.stack(
        [_finish_frame(network, *pair, strength, lends_colour) for pair in zip(source, target, strict=True)]
    )


def _finish_frame(
    network: ClipTranslator,
    source: UInt8[Tensor, "channel height width"],
    target: UInt8[Tensor, "target_channel target_height target_width"],
    strength: float,
    lends_colour: bool,
) -> UInt8[Tensor, "_channel target_height target_width"]:
    made = to_float(target)
    given = enlarge(to_float(source)[None, None], network.shape.scale)[0, 0].clamp(-1, 1)
    if lends_colour:
        made = given + made - luminance(given)
    elif len(given) != len(made):
        given = to_float(convert_channels(to_uint8(given)[None], len(made))[0])
    return to_uint8(torch.lerp(given, made, strength))


def enlarge_frames(frames: Frames, scale: int) -> UInt8[Tensor, "time channel target_height target_width"]:
    """Frames `scale` times as large (bicubic), as a residual translator sees them."""
    if scale == 1:
        return frames
    return torch.stack([to_uint8(enlarge(to_float(frame)[None, None], scale)[0, 0]) for frame in frames])
