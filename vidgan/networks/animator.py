"""Animator: moves the figure in a frame as another one moves, by keypoints that no one has named.

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
"""Where the content of each pixel comes from, less where the pixel is: (x, y) in halves of the frame's sides."""

VARIANCE = 0.01
"""Variance of the Gaussians around keypoints, in squared halves of a frame's side."""
OPENNESS, SHARE = 2.0, -1.0
"""Logits, before training, of how far features of the source are visible, and of the share of what is painted."""
BACKGROUND = 4.0
"""Weight of the background, before training, over that of all keypoints together."""


class Moved(NamedTuple):
    """What an animator makes of a source."""

    displacement: Displacement
    """At 1/patch_size of the size of the frame."""
    visible: Float[Tensor, "batch 1 h w"]
    """How far, in [0, 1], what belongs at a pixel is seen in the source at all; as large."""
    painted: Frame
    """The moved source with what was painted over it."""
    share: Float[Tensor, "batch 1 height width"]
    """How far, in [0, 1], the result shows what was painted and not the moved source itself."""


class Animator(HubModel):
    """Moves a source frame as a driving frame says: the First Order Motion Model (Siarohin et al. 2019), small.

    The surroundings of keypoint k go from the driving frame to the source by T_k(z) = s_k + S_k D_k^-1 (z - d_k), with
    the positions s, d and the Jacobians S, D (equation 4 there). A network weighs these maps and the identity, for the
    background, at each pixel; the generator warps features of the source by the result, hides those that are not to
    be seen, and paints what comes to light, in the knowledge of where the keypoints were and are to be. What it paints
    is mixed with the source itself, warped: before training the result is the warped source, and of a source that
    drives itself an exact copy.
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
        """The source moved as the driving frames are, both in [-1, 1] and of any one size.

        Raises ValueError for a number of channels that the model was not trained on.
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
        """How a source, with sides as for `find`, moves from its keypoints to others, and what is painted.

        `compose` makes a frame of it.
        """
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
        """(The displacement of each pixel, as a mean of the candidates; how far its content is visible)."""
        batch, count = candidates.shape[:2]
        small = F.avg_pool2d(source, self.config.patch_size)
        moved = warp_by(small.repeat_interleave(count, 0), candidates.flatten(0, 1)).unflatten(0, (batch, count))
        known = torch.cat([F.pad(heat, (0, 0, 0, 0, 1, 0))[:, :, None], moved], 2)
        features = self.motion(known.flatten(1, 2))
        weights = self.weights(features).float().softmax(1)
        return (weights[:, :, None] * candidates).sum(1), self.openness(features).float().sigmoid()

    def _pad(self, frames: Frame) -> Float[Tensor, "batch channels padded_height padded_width"]:
        """Sides padded to whole patches."""
        patch = self.config.patch_size
        return F.pad(frames, (0, -frames.shape[-1] % patch, 0, -frames.shape[-2] % patch), mode="replicate")

    def _fold(self, frames: Frame) -> Float[Tensor, "batch inputs h w"]:
        return F.pixel_unshuffle(frames, self.config.patch_size)


def displacements(
    at_source: Keypoints, at_driving: Keypoints, like: Float[Tensor, "batch channels h w"]
) -> Float[Tensor, "batch candidate 2 h w"]:
    """T_k(z) - z at every pixel z of a map: 0 for the background, which comes first, then that of each keypoint.

    As (s - d) + (S - D) D^-1 (z - d), which for equal keypoints is 0 to the bit.
    """
    position, jacobian = at_driving
    turn = multiply(at_source.jacobian - jacobian, invert(jacobian))
    apart = pixel_centres(like) - position[:, :, None, None]
    across, down = (turn[:, :, None, None, row, :] for row in (0, 1))
    moved = torch.stack([(apart * across).sum(-1), (apart * down).sum(-1)], 2)
    moved = moved + (at_source.position - position)[..., None, None]
    return F.pad(moved, (0, 0, 0, 0, 0, 0, 1, 0))


def warp_by(x: Float[Tensor, "batch channels height width"], displacement: Displacement) -> Tensor:
    """A map of any size, as large as before, whose pixels come from where a displacement says."""
    flow = fit(displacement, x) * constant(x.shape[-1] / 2, x.shape[-2] / 2, like=displacement)[:, None, None]
    return warp(x, flow)


def fit(x: Float[Tensor, "batch channels h w"], like: Float[Tensor, "batch _ height width"]) -> Tensor:
    """A map resized to the size of another, bilinearly; itself if it has that size."""
    if x.shape[-2:] == like.shape[-2:]:
        return x
    return F.interpolate(x, like.shape[-2:], mode="bilinear", align_corners=False)


def compose(source: Frame, moved: Moved) -> Frame:
    """The result for a source of any size: the source itself, warped, mixed with what was painted.

    What was painted is resized to its size, so that what is only moved stays as sharp as it was.
    """
    return torch.lerp(warp_by(source, moved.displacement), fit(moved.painted, source), fit(moved.share, source))
