"""Animator: moves the figure in a source frame like that in a driving frame, by unsupervised keypoints.

Letters in shapes: b batch, k keypoint, c channel, h and w rows and columns.
"""

from math import log
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gancore.device import constant
from gancore.hub import HubModel
from gancore.layers import (
    ResidualBlock,
    build_group_norm,
    conv_nd,
    downsample2x,
    leaky_relu,
    orthogonal_init_,
    zero_init_residual_,
)
from vidgan.animation_config import AnimatorConfig, FigureShape
from vidgan.networks.keypoints import (
    Hourglass,
    KeypointDetector,
    Keypoints,
    draw_gaussians,
    invert,
    multiply,
    pixel_centres,
)
from vidgan.networks.warp import warp

Frame = Float[Tensor, "batch channels height width"]
Displacement = Float[Tensor, "batch 2 h w"]
"""Backward flow, from each pixel to where its content comes from: (x, y) in halves of the frame's sides."""

VARIANCE = 0.01
"""Variance of the Gaussians around keypoints, in squared halves of a frame's side."""
OPENNESS, SHARE = 2.0, -1.0
"""Initial logits of the visibility of source features, and of the mask of newly painted content."""
BACKGROUND = 4.0
"""Initial weight of the background, relative to that of all keypoints together."""


class Moved(NamedTuple):
    """How an animator moves a source frame, and what it paints anew."""

    displacement: Displacement
    """Backward flow, at 1/patch_size of the frame's size."""
    visible: Float[Tensor, "batch 1 h w"]
    """Occlusion map, in [0, 1], as large as the flow: 1 where a pixel's content is visible in the source."""
    painted: Frame
    """The warped source plus the painted changes."""
    share: Float[Tensor, "batch 1 height width"]
    """Mask, in [0, 1], of `painted`; the rest of the result shows the warped source."""


class Animator(HubModel):
    """Animates a source frame by a driving frame: a small First Order Motion Model (Siarohin et al. 2019).

    Around keypoint k, T_k(z) = s_k + S_k D_k^-1 (z - d_k) maps the driving frame to the source, with positions s, d and
    Jacobians S, D (equation 4 there). A network weighs these maps and the identity (the background) at each pixel. The
    generator warps source features by the resulting flow, masks occluded ones, and paints what is uncovered, given the
    keypoints of both frames. Its output is blended with the warped source itself. Before training, a source that
    drives itself is reproduced exactly.
    """

    def __init__(self, config: AnimatorConfig, shape: FigureShape):
        super().__init__(config, shape)
        self.config, self.shape = config, shape
        folded, channels = shape.channels * config.patch_size**2, config.base_channels
        self.detector = KeypointDetector(
            folded, config.keypoint_channels, keypoints=config.keypoints, affine=config.local_motion == "affine"
        )
        self.motion = Hourglass((config.keypoints + 1) * (shape.channels + 1), config.motion_channels)
        self.weights = conv_nd(2, config.motion_channels[0], config.keypoints + 1)
        self.openness = conv_nd(2, config.motion_channels[0], 1)
        self.stem = conv_nd(2, folded, channels)
        self.down = conv_nd(2, channels, 2 * channels)
        self.join = conv_nd(2, 2 * channels + 2 * config.keypoints, 2 * channels)
        self.blocks = nn.ModuleList(
            ResidualBlock(2 * channels, 2 * channels, make_norm=build_group_norm, activation=leaky_relu)
            for _ in range(config.blocks)
        )
        self.up = conv_nd(2, 2 * channels, 4 * channels)
        self.fuse = conv_nd(2, 2 * channels + folded, channels)
        self.head = conv_nd(2, channels, (shape.channels + 1) * config.patch_size**2)
        orthogonal_init_(self)
        zero_init_residual_(self)
        self.detector.begin_as_identity_()
        for layer, bias in ((self.openness, OPENNESS), (self.head, 0.0)):
            nn.init.zeros_(layer.weight)
            nn.init.constant_(layer.bias, bias)  # type: ignore[arg-type]
        nn.init.zeros_(self.weights.weight)
        with torch.no_grad():
            self.weights.bias[0] = log(BACKGROUND * config.keypoints)  # type: ignore[index]

    def forward(self, source: Frame, driving: Frame) -> Frame:
        """The source animated by the driving frame; both are in [-1, 1] and have the same size, which may be any.

        Raises ValueError for another number of channels than the model's.
        """
        height, width = source.shape[-2:]
        source, driving = self._pad(source), self._pad(driving)
        return compose(source, self.move(source, self.find(source), self.find(driving)))[..., :height, :width]

    def find(self, frames: Frame) -> Keypoints:
        """The keypoints of frames in [-1, 1] whose sides are multiples of patch_size.

        Raises ValueError for another number of channels.
        """
        if frames.shape[1] != self.shape.channels:
            raise ValueError(f"this model takes frames of {self.shape.channels} channels, got {frames.shape[1]}")
        return self.detector(self._fold(frames))

    def move(self, source: Frame, at_source: Keypoints, at_driving: Keypoints) -> Moved:
        """Moves a source, with sides as for `find`, from its own keypoints to others; `compose` makes the frame."""
        folded = self._fold(source)
        candidates = displacements(at_source, at_driving, folded)
        drawn = [draw_gaussians(each.position, folded, variance=VARIANCE) for each in (at_driving, at_source)]
        flow, visible = self._weigh(source, candidates, drawn[0] - drawn[1])
        fine = leaky_relu(self.stem(folded))
        coarse = leaky_relu(self.down(downsample2x(fine)))
        fine, coarse = (warp_by(each, flow) * fit(visible, each) for each in (fine, coarse))
        coarse = self.join(torch.cat([coarse, *map(downsample2x, drawn)], 1))
        for block in self.blocks:
            coarse = block(coarse)
        risen = F.pixel_shuffle(leaky_relu(self.up(coarse)), 2)[..., : fine.shape[-2], : fine.shape[-1]]
        warped = warp_by(source, flow)
        x = leaky_relu(self.fuse(torch.cat([fine, risen, self._fold(warped)], 1)))
        made = F.pixel_shuffle(self.head(x), self.config.patch_size).float()
        change, share = made.split([self.shape.channels, 1], 1)
        return Moved(flow, visible, warped + change, (share + SHARE).sigmoid())

    def _weigh(
        self,
        source: Frame,
        candidates: Float[Tensor, "batch candidate 2 h w"],
        heat: Float[Tensor, "batch keypoint h w"],
    ) -> tuple[Displacement, Float[Tensor, "batch 1 h w"]]:
        """Returns the flow, a weighted mean of the candidates at each pixel, and the occlusion map."""
        batch, count = candidates.shape[:2]
        small = F.avg_pool2d(source, self.config.patch_size)
        moved = warp_by(small.repeat_interleave(count, 0), candidates.flatten(0, 1)).unflatten(0, (batch, count))
        known = torch.cat([F.pad(heat, (0, 0, 0, 0, 1, 0))[:, :, None], moved], 2)
        features = self.motion(known.flatten(1, 2))
        weights = self.weights(features).float().softmax(1)
        return (weights[:, :, None] * candidates).sum(1), self.openness(features).float().sigmoid()

    def _pad(self, frames: Frame) -> Float[Tensor, "batch channels padded_height padded_width"]:
        """Pads the sides to whole patches."""
        patch = self.config.patch_size
        return F.pad(frames, (0, -frames.shape[-1] % patch, 0, -frames.shape[-2] % patch), mode="replicate")

    def _fold(self, frames: Frame) -> Float[Tensor, "batch inputs h w"]:
        return F.pixel_unshuffle(frames, self.config.patch_size)


def displacements(
    at_source: Keypoints, at_driving: Keypoints, like: Float[Tensor, "batch channels h w"]
) -> Float[Tensor, "batch candidate 2 h w"]:
    """T_k(z) - z at every pixel z of a map: 0 for the background, which comes first, then of each keypoint.

    Computed as (s - d) + (S - D) D^-1 (z - d), which is exactly 0 for equal keypoints.
    """
    position, jacobian = at_driving
    turn = multiply(at_source.jacobian - jacobian, invert(jacobian))
    apart = pixel_centres(like) - position[:, :, None, None]
    across, down = (turn[:, :, None, None, row, :] for row in (0, 1))
    moved = torch.stack([(apart * across).sum(-1), (apart * down).sum(-1)], 2)
    moved = moved + (at_source.position - position)[..., None, None]
    return F.pad(moved, (0, 0, 0, 0, 0, 0, 1, 0))


def warp_by(x: Float[Tensor, "batch channels height width"], displacement: Displacement) -> Tensor:
    """Backward warp of a map of any size by a displacement, which is resized to it."""
    flow = fit(displacement, x) * constant(x.shape[-1] / 2, x.shape[-2] / 2, like=displacement)[:, None, None]
    return warp(x, flow)


def fit(x: Float[Tensor, "batch channels h w"], like: Float[Tensor, "batch _ height width"]) -> Tensor:
    """A map resized bilinearly to the size of `like`; returned as it is if it has that size."""
    if x.shape[-2:] == like.shape[-2:]:
        return x
    return F.interpolate(x, like.shape[-2:], mode="bilinear", align_corners=False)


def compose(source: Frame, moved: Moved) -> Frame:
    """The animated frame, for a source of any size: the warped source, blended with the painted content.

    Only the painted content is resized to the source's size, so what is merely moved stays sharp.
    """
    return torch.lerp(warp_by(source, moved.displacement), fit(moved.painted, source), fit(moved.share, source))
