"""ClipTranslator: translates a clip into one of the same length and the same or a larger size.

Letters in einops patterns: b batch, t timestep, n neighbour, k candidate, c channel, h and w rows and columns.
"""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float, UInt8
from torch import Tensor, nn

from gancore.device import constant
from gancore.hub import HubModel
from gancore.layers import ResidualBlock, leaky_relu, orthogonal_init_, zero_init_residual_
from vidgan.frames import LUMINANCE, to_float, to_uint8
from vidgan.networks.curves import LEVELS, apply_curves
from vidgan.networks.interpolation import estimate_unknown, interpolate_along_motion
from vidgan.translation_config import PairShape, TranslatorConfig

Frames = Float[Tensor, "batch time channels height width"]
Known = Bool[Tensor, "batch time 1 height width"]
Maps = Float[Tensor, "batch time features h w"]
FrameMap = Float[Tensor, "frames _ _ _"]
"""(frames of all clips, features, rows, columns)."""

STATE_FACTOR = 1.5
"""Channels of the half-size map, over which states propagate, relative to those of the full-size map."""
BLURRED_CANDIDATES = 4
"""Number of candidates besides the neighbours: their mean, the mean blurred once and twice, and the frame blurred."""


class Propagation(nn.Module):
    """Recurrent propagation through a clip in one direction, s_t = tanh(block(W [x_t; s_(t-1)])), over half-size maps.

    The propagation of BasicVSR (Chan et al. 2021) without optical flow. The tanh keeps states from exploding at large
    learning rates.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.mix = nn.Conv2d(2 * channels, channels, 3, padding=1)
        self.block = ResidualBlock(channels, channels, activation=leaky_relu)

    def forward(self, maps: Maps, *, backward: bool, state: Tensor | None = None) -> Maps:
        """The state at each timestep, propagated from the last timestep if `backward`; `state` is the initial one."""
        states: list[Tensor] = []
        state = torch.zeros_like(maps[:, 0]) if state is None else state
        for step in reversed(range(maps.shape[1])) if backward else range(maps.shape[1]):
            state = torch.tanh(self.block(leaky_relu(self.mix(torch.cat([maps[:, step], state], 1)))))
            states.append(state)
        return torch.stack(states[::-1] if backward else states, 1)


class Memory(NamedTuple):
    """What a causal translator keeps from one part of a clip to the next."""

    seen: Float[Tensor, "batch neighbours channels h w"]
    """The last input frames, enlarged and with their masks."""
    state: Float[Tensor, "batch features h w"] | None
    """The state after the last frame; None without propagation."""


class ClipTranslator(HubModel):
    """Makes a target clip of a source clip: restored, enlarged, coloured, filled in, or translated.

    Source frames are enlarged to the target's size (bicubic) and folded into patches (space-to-depth), so that no
    convolution runs at full resolution. Each frame is encoded with its neighbours. States over half-size maps are
    propagated through the clip, in both directions by default (BasicVSR, Chan et al. 2021).

    A residual output adds to the source a change and, at each pixel, a weighted sum of candidates: order statistics of
    the neighbours (such as the temporal median), their mean, and blurred copies. The network only has to learn where
    each candidate is good, which is quick.

    Unknown pixels are first filled in from other frames (if propagation is bidirectional) or from their surroundings.
    Frames without any known pixel are interpolated along the optical flow between whole frames, and bypass the
    network, which did not improve them.
    """

    curves: Tensor | None
    """(channels, 256) tone curves, for `base` "histogram"; see `apply_curves`."""

    def __init__(self, config: TranslatorConfig, shape: PairShape):
        super().__init__(config, shape)
        self.config, self.shape = config, shape
        channels, wide, patch = config.base_channels, round(STATE_FACTOR * config.base_channels), config.patch_size**2
        self.before, self.after = config.neighbours, 0 if config.propagation == "forward" else config.neighbours
        if config.propagation == "none":
            self.before = self.after = 0
        window = self.before + 1 + self.after
        self.candidates = window + BLURRED_CANDIDATES if config.output == "residual" else 0
        self.stem = nn.Conv2d(window * (shape.channels + shape.masked) * patch, channels, 3, padding=1)
        self.down = nn.Conv2d(4 * channels, wide, 3, padding=1)
        directions = {"both": 2, "forward": 1, "none": 0}[config.propagation]
        self.passes = nn.ModuleList(Propagation(wide) for _ in range(directions))
        self.up = nn.Conv2d((1 + directions) * wide, 4 * channels, 3, padding=1)
        self.fuse = nn.Conv2d(2 * channels, channels, 1)
        self.blocks = nn.ModuleList(
            ResidualBlock(channels, channels, activation=leaky_relu) for _ in range(config.blocks)
        )
        self.head = nn.Conv2d(channels, (shape.channels + self.candidates) * patch, 3, padding=1)
        self.register_buffer("curves", None)
        if config.base == "histogram":  # not by torch, which on the meta device takes seconds to import what it needs
            self.curves = torch.from_numpy(np.tile(np.arange(LEVELS, dtype=np.float32), (shape.channels, 1)))
        orthogonal_init_(self)
        zero_init_residual_(self)
        if config.output == "residual":
            nn.init.zeros_(self.head.weight)

    def forward(self, source: Frames, known: Known | None = None) -> Float[Tensor, "batch time channels h w"]:
        """Translates clips of any length and size in [-1, 1]; results may slightly exceed [-1, 1].

        Args:
            source: Source clips.
            known: For models with masks, which pixels of the target's size are reliable (None: all); the model returns
                these unchanged.

        Returns:
            Target clips, `shape.scale` times as high and wide.

        Raises:
            ValueError: Another number of channels than the model's, or a mask for a model without masks.
        """
        return self._translate(source, known, None)[0]

    def match(self, source: Frames) -> Float[Tensor, "batch time channels h w"]:
        """The base of a residual output: the source enlarged to the target's size, with the curves applied if any."""
        large = enlarge(source, self.shape.scale)
        return large if self.curves is None else apply_curves(large, self.curves.expand(len(large), -1, -1))

    def refine(self, matched: Frames) -> Frames:
        """`forward` after `match`, for clips that have the tones of targets already (matched sources, or targets)."""
        return self._refine(matched, None, None)[0]

    def carry_on(
        self, source: Frames, known: Known | None = None, memory: Memory | None = None
    ) -> tuple[Float[Tensor, "batch time channels h w"], Memory]:
        """Translates clips part by part, with the same result as `forward` on whole clips.

        Takes the inputs of `forward`, and the memory that the previous part returned (None at the beginning). Returns
        the target of this part, and the memory for the next. Raises ValueError as `forward`, and for a model that is
        not causal.
        """
        if not self.is_causal:
            raise ValueError("this model looks ahead, so that its clips cannot come in parts")
        return self._translate(source, known, memory)

    @property
    def is_causal(self) -> bool:
        """Whether no frame depends on a later one."""
        return self.config.propagation != "both"

    def _translate(
        self, source: Frames, known: Known | None, memory: Memory | None
    ) -> tuple[Float[Tensor, "batch time channels h w"], Memory]:
        if source.shape[2] != self.shape.channels:
            raise ValueError(f"this model takes frames of {self.shape.channels} channels, got {source.shape[2]}")
        if known is not None and not self.shape.masked:
            raise ValueError("this model was trained without a mask of known pixels")
        return self._refine(self.match(source), known, memory)

    def _refine(
        self, base: Frames, known: Known | None, memory: Memory | None
    ) -> tuple[Float[Tensor, "batch time channels h w"], Memory]:
        batch = len(base)
        if self.shape.masked:
            mask = torch.ones_like(base[:, :, :1]) if known is None else known.to(base)
            kept = mask > 0
            # unknown pixels of the source are ignored, whatever they hold
            base = estimate_unknown(base * mask, kept, causal=self.is_causal)
            if not self.is_causal:
                base = interpolate_along_motion(base, kept)
                kept = kept | ~kept.any((2, 3, 4), keepdim=True)
        seen = torch.cat([base, mask], 2) if self.shape.masked else base
        joined = self._join(seen, memory)
        window = self._window(joined)
        _, fine, coarse = self._encode(window)
        maps, state = [coarse], memory.state if memory else None
        for number, each in enumerate(self.passes):
            backward = number == 0 and len(self.passes) == 2
            states = each(coarse.unflatten(0, (batch, -1)), backward=backward, state=state)
            maps.append(states.flatten(0, 1))
        after = Memory(joined[:, seen.shape[1] :], states[:, -1] if self.passes else None)
        risen = F.pixel_shuffle(leaky_relu(self.up(torch.cat(maps, 1))), 2)
        x = self.fuse(torch.cat([fine, risen], 1))
        for block in self.blocks:
            x = block(x)
        made = F.pixel_shuffle(self.head(leaky_relu(x)), self.config.patch_size).unflatten(0, (batch, -1))
        change, weights = made[..., : base.shape[-2], : base.shape[-1]].split([self.shape.channels, self.candidates], 2)
        if self.config.output == "frames":
            target = torch.tanh(change)
        else:
            target = base + change
            if self.candidates:
                target = target + self._blend(base, window[:, :, :, : self.shape.channels], weights)
        if self.config.keep_luminance:
            target = target + luminance(base - target)
        return torch.where(kept, base, target) if known is not None else target, after

    def feature_maps(self, matched: Frames) -> list[FrameMap]:
        """The feature maps of all frames before propagation, from folded pixels on, for inputs as of `refine`.

        Their sides are the target's divided by patch_size, and those of the last map half of that.
        """
        assert not self.shape.masked
        return self._encode(self._window(self._join(matched, None)))

    @property
    def feature_widths(self) -> list[int]:
        """Number of channels of each map in `feature_maps`."""
        return [self.stem.in_channels, self.stem.out_channels, self.down.out_channels]

    def _encode(self, window: Float[Tensor, "batch time window channels height width"]) -> list[FrameMap]:
        folded = self._fold(window)
        fine = leaky_relu(self.stem(folded))
        return [folded, fine, leaky_relu(self.down(F.pixel_unshuffle(fine, 2)))]

    def _join(self, seen: Frames, memory: Memory | None) -> Float[Tensor, "batch _time channels height width"]:
        """Prepends the earlier neighbours: from the memory, or else copies of the first frame."""
        if not self.before:  # ONNX would take the first frame, expanded to none, for one frame
            return seen
        past = memory.seen if memory else seen[:, :1].expand(-1, self.before, -1, -1, -1)
        return torch.cat([past, seen], 1)

    def _window(
        self, joined: Float[Tensor, "batch _time channels height width"]
    ) -> Float[Tensor, "batch time window channels height width"]:
        """Each frame with its neighbours; the last frame is repeated beyond the end."""
        steps = joined.shape[1]
        near = torch.arange(self.before + 1 + self.after, device=joined.device)
        first = torch.arange(steps - self.before, device=joined.device)
        return joined[:, (first[:, None] + near).clamp(max=steps - 1)]

    def _fold(self, window: Tensor) -> Float[Tensor, "frames features h w"]:
        """Space-to-depth of frames, with sides padded to whole patches at full and at half size."""
        flat = rearrange(window, "b t n c h w -> (b t) (n c) h w")
        unit = 2 * self.config.patch_size
        padding = (0, -flat.shape[-1] % unit, 0, -flat.shape[-2] % unit)
        return F.pixel_unshuffle(F.pad(flat, padding, mode="replicate"), self.config.patch_size)

    def _blend(
        self,
        base: Frames,
        window: Float[Tensor, "batch time window channels height width"],
        weights: Float[Tensor, "batch time k height width"],
    ) -> Frames:
        """The weighted sum of the candidates' differences from the frame."""
        mean = window.mean(2)
        soft = blur(mean)
        candidates = torch.cat([window.sort(2).values, torch.stack([mean, soft, blur(soft), blur(base)], 2)], 2)
        return torch.einsum("btkchw,btkhw->btchw", candidates - base[:, :, None], weights)

    @torch.inference_mode()
    def translate(
        self,
        frames: UInt8[Tensor, "time channels height width"],
        known: Bool[Tensor, "time 1 height width"] | None = None,
    ) -> UInt8[Tensor, "time channels target_height target_width"]:
        """Translates one clip of bytes; raises ValueError as the forward pass does."""
        device = next(self.parameters()).device
        mask = None if known is None else known[None].to(device)
        return to_uint8(self(to_float(frames.to(device))[None], mask)[0]).cpu()


def blur(frames: Frames) -> Frames:
    """Frames blurred by the binomial window of 3x3 pixels, with repeated edges."""
    flat = F.pad(frames.flatten(0, 2)[:, None], (1, 1, 1, 1), mode="replicate")
    kernel = constant(0.25, 0.5, 0.25, like=flat)
    flat = F.conv2d(F.conv2d(flat, kernel.view(1, 1, 3, 1)), kernel.view(1, 1, 1, 3))
    return flat.view(frames.shape)


def enlarge(frames: Frames, scale: int) -> Float[Tensor, "batch time channels h w"]:
    """Frames `scale` times as high and wide (bicubic, half-pixel centres); the same ones if that is 1."""
    if scale == 1:
        return frames
    flat = F.interpolate(frames.flatten(0, 1), scale_factor=scale, mode="bicubic")
    return flat.unflatten(0, frames.shape[:2])


def luminance(frames: Float[Tensor, "*shape channels height width"]) -> Float[Tensor, "*shape 1 height width"]:
    """Luminance of RGB frames (ITU-R 601); of others the mean of their channels."""
    if frames.shape[-3] != 3:
        return frames.mean(-3, keepdim=True)
    return torch.einsum("...chw,c->...hw", frames, constant(*LUMINANCE, like=frames))[..., None, :, :]
