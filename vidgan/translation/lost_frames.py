"""Interpolates lost frames, of which nothing is known, independently of the windows of the translation."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, UInt8
from torch import Tensor

from vidgan.files.readers import VideoReader
from vidgan.frames import to_float, to_uint8
from vidgan.networks.interpolation import interpolate_between
from vidgan.translation.masks import KnownReader

SCANNED = 64
"""Frames whose mask is read at once in search of the end of what is lost."""


class Neighbour(NamedTuple):
    """A frame of which something is known."""

    number: int
    frame: UInt8[Tensor, "channel height width"]
    known: Bool[Tensor, "1 height width"]


class LostFrames:
    """Makes up the lost frames of a film that is read from its beginning to its end.

    Between two whole frames they are moved along the optical flow (`interpolate_between`); of frames with holes what is
    known of both is interpolated in place, and the rest stays unknown. At the ends of a film the nearest frame is
    repeated.
    """

    def __init__(self, film: VideoReader, known: KnownReader):
        self.film, self.known = film, known
        self.before: Neighbour | None = None
        self.after: Neighbour | None = None
        self.ends_lost = False
        """Whether it was seen that all frames up to the end of the film are lost."""

    @torch.inference_mode()
    def fill(
        self, first: int, frames: UInt8[Tensor, "time channel height width"], known: Bool[Tensor, "time 1 height width"]
    ) -> tuple[UInt8[Tensor, "time channel height width"], Bool[Tensor, "time 1 height width"]]:
        """The next frames, from number `first` on, and their mask, with what can be made up in place of what is lost.

        Raises ValueError if all frames of the film are lost.
        """
        lost = ~known.flatten(1).any(1)
        if not lost.any():
            self.before = Neighbour(first + len(frames) - 1, frames[-1], known[-1])
            return frames, known
        frames, known = frames.clone(), known.clone()
        for step, is_lost in enumerate(lost.tolist()):
            if is_lost:
                frames[step], known[step] = self._make_up(first + step)
            else:
                self.before = Neighbour(first + step, frames[step], known[step])
        return frames, known

    def _make_up(self, number: int) -> tuple[Tensor, Tensor]:
        if not self.ends_lost and (self.after is None or self.after.number < number):
            self.after = self._look_ahead(number + 1)
            self.ends_lost = self.after is None
        before, after = self.before, self.after
        if before is None or after is None:
            if (nearest := before or after) is None:
                raise ValueError("all frames of the film are lost: there is nothing to make them of")
            return nearest.frame, nearest.known
        share = torch.tensor((number - before.number) / (after.number - before.number)).view(1, 1, 1, 1)
        first, last = (to_float(each.frame)[None] for each in (before, after))
        both = before.known & after.known
        made = interpolate_between(first, last, share) if both.all() else torch.lerp(first, last, share)
        return to_uint8(made[0].clamp(-1, 1)), both

    def _look_ahead(self, start: int) -> Neighbour | None:
        """The first frame from `start` on of which something is known; None if there is none."""
        for first in range(start, self.film.frames, SCANNED):
            known = self.known.read(first, min(SCANNED, self.film.frames - first))
            if len(found := known.flatten(1).any(1).nonzero()):
                step = int(found[0])
                return Neighbour(first + step, self.film.read(first + step, 1)[0], known[step])
        return None
