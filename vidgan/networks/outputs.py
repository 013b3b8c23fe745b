"""Outputs, the last stage of a decoder, from feature maps to frames: the base class and the two simple outputs.

Letters in einops patterns: b batch, t timestep, k motion layer, c channel, h and w rows and columns, n several of these
flattened into one axis.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor, nn

from vidgan.networks.norms import Condition, MakeNorm, Timestep
from vidgan.networks.warp import warp

TANH_GAIN = 1.05
"""Factor on the tanh of new content before it is clamped to [-1, 1], so that black and white can be reached."""
NEW_CONTENT_LOGIT = -4.0
"""Initial logit of the mask of new content: hardly any is shown before training."""

Memory = tuple[Tensor, ...]
"""The tensors that an output carries from one segment of timesteps to the next."""


class GeneratorOutput(NamedTuple):
    """Generated frames in [-1, 1], and what some outputs know of the motion in them."""

    frames: Float[Tensor, "batch steps channels height width"]
    sprite_masks: Float[Tensor, "batch layers height width"] | None = None
    """Weight in [0, 1) of each pixel of the last past frame in locating each sprite."""
    trajectories: Float[Tensor, "batch layers steps 2"] | None = None
    """(x, y), in pixels, of each sprite in each generated frame, relative to its position in the last past frame."""
    displacement: Float[Tensor, "batch steps 2 height width"] | None = None
    """(x, y) displacement, in pixels, of each pixel of the last past frame to each generated frame."""


class FrameOutput(nn.Module):
    """The last stage of a decoder: from its largest feature maps to frames, one segment of timesteps after another.

    `begin` is called once per past, `step` for every segment in order, and `finish` once. A segment passes everything
    on to the next through the memory, so it depends on its arguments alone and can be recomputed.
    """

    yields_frames = True
    """Whether the first channels of a segment's result are its frames, finished before the next segment."""

    def reset_parameters(self) -> None:
        """Sets the weights that should not start orthogonal; does nothing by default."""

    def map_steps(self, steps: int) -> int:
        """Number of timesteps of feature maps needed for `steps` frames: the same by default."""
        return steps

    def begin(self, past: Float[Tensor, "batch time channels height width"]) -> Memory:
        """The memory before the first segment: tensors whose first axis is the batch."""
        raise NotImplementedError

    def step(
        self,
        maps: Float[Tensor, "batch steps features rows columns"],
        memory: Memory,
        condition: Condition,
        start: Timestep,
    ) -> tuple[Float[Tensor, "batch steps ..."], Memory]:
        """Returns the result of a segment from timestep `start` on, and the memory after it."""
        raise NotImplementedError

    def finish(
        self,
        results: Float[Tensor, "batch map_steps ..."],
        memory: Memory,
        condition: Float[Tensor, "batch size"],
        steps: int,
    ) -> GeneratorOutput:
        """Makes the output from the results of all segments, concatenated over time; by default these are frames."""
        del memory, condition, steps
        return GeneratorOutput(results)


class FramesOutput(FrameOutput):
    """Frames generated from scratch: norm, ReLU, 3x3 convolution, tanh (DVD-GAN)."""

    def __init__(self, width: int, channels: int, *, patch_size: int, make_norm: MakeNorm):
        super().__init__()
        self.norm = make_norm(width)
        self.conv = nn.Conv2d(width, channels * patch_size**2, 3, padding=1)
        self.patch_size = patch_size

    def begin(self, past: Tensor) -> Memory:
        """Empty: nothing is carried from frame to frame."""
        del past
        return ()

    def step(self, maps: Tensor, memory: Memory, condition: Tensor, start: Timestep) -> tuple[Tensor, Memory]:
        """Returns frames in [-1, 1], and the empty memory."""
        x = rearrange(maps, "b t c h w -> (b t) c h w")
        x = self.conv(torch.relu(self.norm(x, condition, start)))
        frames = torch.tanh(F.pixel_shuffle(x, self.patch_size))
        return rearrange(frames, "(b t) c h w -> b t c h w", b=len(maps)), memory


class MotionOutput(FrameOutput):
    """Frames as warped copies of the last past frame I, blended with new content.

    The flow of each motion layer k is composed over time, F_t(p) = f_t(p) + F_{t-1}(p + f_t(p)). So each frame is
    sampled only once from I, and repeated interpolation does not blur it:

        frame_t(p) = sum_k m_k(p) I(p + F_{k,t}(p)) + m_new(p) content(p),    sum_k m_k + m_new = 1

    Before training, the output repeats the last past frame.
    """

    def __init__(self, width: int, channels: int, *, patch_size: int, motion_layers: int, make_norm: MakeNorm):
        super().__init__()
        self.patch_size, self.motion_layers = patch_size, motion_layers
        self.norm = make_norm(width)
        self.flow = nn.Conv2d(width, 2 * motion_layers, 3, padding=1)
        self.blend = build_blend_conv(width, channels, motion_layers=motion_layers, patch_size=patch_size)

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Starts by repeating the last past frame: hardly any motion or new content."""
        self.flow.weight.mul_(0.01)
        suppress_new_content_(self.blend, motion_layers=self.motion_layers, patch_size=self.patch_size)

    def begin(self, past: Tensor) -> Memory:
        """The last past frame, and a composed flow of zero for every layer."""
        last = past[:, -1]
        rows, columns = (side // self.patch_size for side in last.shape[-2:])
        return last, last.new_zeros(len(last), self.motion_layers, 2, rows, columns)

    def step(self, maps: Tensor, memory: Memory, condition: Tensor, start: Timestep) -> tuple[Tensor, Memory]:
        """Returns frames in [-1, 1], and the last past frame with the composed flow after the segment."""
        last, composed = memory[0], memory[1].flatten(0, 1)  # b c h w; (b k) 2 rows columns
        batch, steps = maps.shape[:2]
        x = torch.relu(self.norm(rearrange(maps, "b t c h w -> (b t) c h w"), condition, start))
        flows = rearrange(self.flow(x), "(b t) (k two) h w -> t (b k) two h w", t=steps, two=2)
        flows_so_far = []
        for flow in flows:
            composed = flow + warp(composed, flow)
            flows_so_far.append(composed)
        warped = self._warp_last_frame(last, torch.stack(flows_so_far))  # (b t) k c h w
        blend = F.pixel_shuffle(self.blend(x), self.patch_size)  # (b t) k+1+c h w
        masks = blend[:, : self.motion_layers + 1].softmax(1)
        content = saturating_tanh(blend[:, None, self.motion_layers + 1 :])
        layers = torch.cat([warped, content], 1)  # (b t) k+1 c h w
        frames = torch.einsum("nkhw,nkchw->nchw", masks, layers)
        return rearrange(frames, "(b t) c h w -> b t c h w", b=batch), (
            last,
            composed.unflatten(0, (batch, self.motion_layers)),
        )

    def _warp_last_frame(
        self, last: Float[Tensor, "batch channels height width"], composed: Float[Tensor, "steps flows 2 rows columns"]
    ) -> Float[Tensor, "frames layers channels height width"]:
        """The last frame warped by the flow of every timestep and layer; frames is (batch steps)."""
        flow = rearrange(composed, "t n two h w -> (t n) two h w")
        flow = self.patch_size * F.interpolate(flow, size=last.shape[-2:], mode="bilinear", align_corners=False)
        copies = repeat(last, "b c h w -> (t b k) c h w", t=len(composed), k=self.motion_layers)
        return rearrange(warp(copies, flow), "(t b k) c h w -> (b t) k c h w", t=len(composed), k=self.motion_layers)


def build_blend_conv(width: int, channels: int, *, motion_layers: int, patch_size: int) -> nn.Conv2d:
    """A convolution to the logits of all layers and of new content, and the new content, for every pixel of a patch."""
    return nn.Conv2d(width, (motion_layers + 1 + channels) * patch_size**2, 3, padding=1)


@torch.no_grad()
def suppress_new_content_(blend: nn.Conv2d, *, motion_layers: int, patch_size: int) -> None:
    """Makes a blend convolution start with little variation and hardly any new content."""
    blend.weight.mul_(0.1)
    assert blend.bias is not None
    blend.bias[motion_layers * patch_size**2 : (motion_layers + 1) * patch_size**2] = NEW_CONTENT_LOGIT


def saturating_tanh(x: Tensor) -> Tensor:
    """A tanh scaled by TANH_GAIN and clamped to [-1, 1], so that it reaches both ends."""
    return (TANH_GAIN * torch.tanh(x)).clamp(-1, 1)
