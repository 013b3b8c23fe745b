"""The splat output: pixels of the last past frame are warped forward, over a background plate.

Letters in einops patterns: b batch, t timestep, c channel, h and w rows and columns.
"""

import math
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor, nn

from vidgan.networks.camera import camera_flow, compose, estimate_background, fit_camera, invert
from vidgan.networks.noise_field import NoiseField
from vidgan.networks.norms import MakeNorm, Timestep, constant_part
from vidgan.networks.optical_flow import estimate_flow, window_mean
from vidgan.networks.outputs import FrameOutput, GeneratorOutput, Memory
from vidgan.networks.splat import splat
from vidgan.networks.warp import warp

NOISE_LEVEL = 0.1
"""RMS change between frames, for values in [-1, 1], that is as likely noise as motion."""
CONFIDENCE_RADIUS = 1
"""Radius, in pixels, of the window over which two frames are compared along a flow."""
MIN_CONFIDENCE = 0.01
"""Mean confidence in the motion around a patch at which its velocity is halved."""
COHERENCE = 6.0
"""Standard deviation, in pixels, of the window over which small objects move together."""
COHERENCE_OF_LARGE = 18.0
"""The same for large objects, which fill much of that window."""
MIN_WEIGHT_SUM = 1e-4
"""Sum of weights below which a weighted mean falls to zero."""
LARGE_SHARES = (0.15, 0.5)
"""Shares of the window of COHERENCE_OF_LARGE: an object that fills less than the first is small, more than the second
is large."""
MOTION_CHANNELS = 6
"""Channels of the velocity's change per patch: acceleration (2), inertia, and three noise strengths."""
NOISE_LOGITS = (-4.0, -1.0, -1.0)
"""Initial logits of the noise strengths: independent of the speed, proportional to it, and of the inertia."""
MAX_NOISE = 1.0
"""Largest noise, in pixels per frame, of what is at rest; the noise proportional to the speed is at most the speed."""
MAX_INERTIA_NOISE = 4.0
"""Largest standard deviation of the inertia's logit."""
INERTIA_LOGIT = 2.0
"""Initial logit of the inertia, the fraction of its velocity that a pixel keeps from frame to frame."""
ACCELERATION_SCALE = 0.05
"""Acceleration, in pixels per frame, for a network output of 1; small, as displacements add up over all steps."""
DRIVEN_ACCELERATION_SCALE = 1.0
"""The same for models with actions, in which objects start, stop and turn at once."""
MAX_SPEED = 64.0
"""Largest velocity along each axis, in pixels per frame."""
APPEARANCE_SCALE = 0.1
"""Change of a pixel's value, for values in [-1, 1], for a network output of 1."""
CORRECTION_WIDTHS = (32, 64)
"""Channels, at full and at patch resolution, of the network that corrects measured velocities."""
CORRECTION_DILATIONS = (1, 2, 4)
"""Dilations of the residual blocks of that network."""
CUT_LEVEL = 0.2
"""Difference from the background, for values in [-1, 1], at which a pixel is cut out with a probability of 1/2."""
CUT_SHARPNESS = 2.0
"""Slope of the logit of being cut out, over the logarithm of the squared difference from the background."""
MAX_CUT_CHANGE = 4.0
"""Largest learned change of that logit. It keeps what was seen at rest in the background, and all opacities far enough
from 0 to have a gradient."""
CONTENT_LOGIT = -2.0
"""Initial logit of the gate of new content."""
MAX_IMPORTANCE = 4.0
"""Largest learned log weight of a pixel where several pixels land in one place."""
MOTION_IMPORTANCE = 4.0
"""Added to that log weight for pixels that have moved far relative to the camera; half of it at 1 pixel."""
MAX_STRETCH = 4.0
"""Factor by which the area between pixels may grow without leaving gaps."""


class SplatOutput(FrameOutput):
    """Cuts what differs from the background out of the last past frame I, and splats it onto a background plate B.

    The decoder's maps belong to the pixels p of I, and set their velocity v and appearance r at every step:

        v_t(p) = sigmoid(k_t(p) + h_t(p) u(p)) v_{t-1}(p) + a_t(p)
        d_t(p) = d_{t-1}(p) + v_t(p) + (s_t(p) + m_t(p) |v_t(p)|) n(p)

    n and u are smooth fields of noise (`NoiseField` of the latent), the same at all steps, so that neighbouring pixels
    deviate, keep moving and stop together. Learned are the acceleration a, the logit k of the inertia, and the bounded
    noise strengths s, m and h. The latent has no other effect: samples differ in motion, not in appearance.

    The camera's motion, a measured affine map that continues unchanged, also moves pixels and plate. To move objects
    as wholes, changes of velocity are averaged over windows of COHERENCE and the noise's factor over windows of
    COHERENCE_OF_LARGE (standard deviations in pixels), and the displacements d_t are interpolated bilinearly. The
    opacity A grows with the difference of I from B, with a learned correction. Let S be summation splatting, w the
    importance of a pixel, which is learned and higher for what moves relative to the camera, and W the backward warp
    along S(A w d_t) / S(A w). W leaves no gaps between diverging pixels, and is bicubic, as bilinear warps blur. Then

        frame_t = W(A (I + r_t)) + (1 - W(A)) (A B + (1 - A) I)

    v_0 is measured by optical flow and corrected by a small network that sees what the flow leaves unexplained. B is
    what the past shows at rest, plus learned new content. Before training, everything keeps moving, ever more slowly.
    Geometry is computed in float32, whatever the precision of the convolutions.
    """

    def __init__(
        self, width: int, channels: int, *, patch_size: int, latent: int, make_norm: MakeNorm, driven: bool = False
    ):
        """`driven` says whether the predictor follows actions."""
        super().__init__()
        self.patch_size, patch = patch_size, patch_size**2
        self.norm = make_norm(width)
        self.latent = latent
        self.driven = driven
        self.noise = NoiseField(latent, fields=3)
        self.correct = VelocityCorrection(4 * channels + 5, patch_size)
        self.cue = nn.Conv2d(width + 2 * channels * patch + 2, width, 3, padding=1)
        self.travel = nn.Conv2d(2 * width, MOTION_CHANNELS + channels * patch, 3, padding=1)
        self.still = nn.Conv2d(width, (1 + 1 + 1 + channels) * patch, 1)

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Starts with the measured motion, slowing down, without changes of appearance and without new content."""
        for layer in (self.travel, self.still, self.correct.change):
            nn.init.zeros_(layer.get_parameter("weight"))
            nn.init.zeros_(layer.get_parameter("bias"))
        self.travel.get_parameter("bias")[2] = INERTIA_LOGIT
        self.travel.get_parameter("bias")[3:6] = torch.tensor(NOISE_LOGITS)
        patch = self.patch_size**2
        self.still.get_parameter("bias")[2 * patch : 3 * patch] = CONTENT_LOGIT

    def begin(self, past: Tensor) -> Memory:
        """Measures motion and background of the past; see `SplatMemory`."""
        last, patch = past[:, -1], self.patch_size
        rows, columns = (side // patch for side in last.shape[-2:])
        with _full_precision(last.device):
            velocity, plate, camera, evidence = measure_motion(past, patch)
            cut = cut_out(last.float(), plate)
        change = normalised_convolution(self.correct(evidence).float(), F.avg_pool2d(torch.sigmoid(cut), patch), patch)
        return SplatMemory(
            last,
            plate,
            camera,
            torch.eye(2, 3, device=last.device).expand(len(last), -1, -1),
            velocity + change,
            torch.zeros_like(velocity),
            last.new_zeros(len(last), self.cue.out_channels, rows, columns),
            cut,
            torch.zeros_like(last[:, :1]),
        )

    def step(self, maps: Tensor, memory: Memory, condition: Tensor, start: Timestep) -> tuple[Tensor, Memory]:
        """Returns frames in [-1, 1], followed by two channels of displacement, and the memory after the segment."""
        memory, steps = SplatMemory(*memory), maps.shape[1]
        x = torch.relu(self.norm(rearrange(maps, "b t c h w -> (b t) c h w"), condition[..., self.latent :], start))
        if isinstance(start, Tensor):
            pairs = zip(self._look(x, memory), memory, strict=True)
            memory = SplatMemory(*(old if new is old else torch.where(start == 0, new, old) for new, old in pairs))
        elif start == 0:
            memory = self._look(x, memory)
        known = repeat(memory.cue.to(x.dtype), "b c h w -> (b t) c h w", t=steps)
        travel = rearrange(self.travel(torch.cat([x, known], 1)).float(), "(b t) c h w -> b t c h w", t=steps)
        with _full_precision(memory.last.device):
            noise = self.noise(constant_part(condition, self.latent), *memory.velocity.shape[-2:])
            return self._move(travel, noise, memory)

    def _look(self, x: Float[Tensor, "frames features rows columns"], memory: "SplatMemory") -> "SplatMemory":
        """Adds to the memory what the network derives from the last past frame and the first timestep's features."""
        last, plate = memory.last, memory.plate
        seen = F.pixel_unshuffle(torch.cat([last, last - plate], 1), self.patch_size)
        first = rearrange(x, "(b t) c h w -> b t c h w", b=len(last))[:, 0]
        cue = torch.relu(self.cue(torch.cat([first, seen, memory.velocity], 1)))
        still = F.pixel_shuffle(self.still(cue).float(), self.patch_size)
        importance, more, gate, content = still.split([1, 1, 1, last.shape[1]], 1)
        plate = (plate + 2 * torch.sigmoid(gate) * torch.tanh(content)).clamp(-1, 1)
        more = MAX_CUT_CHANGE * torch.tanh(more / MAX_CUT_CHANGE)
        return memory._replace(plate=plate, cue=cue, cut=memory.cut + more, importance=importance)

    def _move(
        self,
        travel: Float[Tensor, "batch steps changes rows columns"],
        noise: Float[Tensor, "batch 3 rows columns"],
        memory: "SplatMemory",
    ) -> tuple[Tensor, Memory]:
        """Moves the pixels by the changes of velocity and appearance at every step; returns what `step` returns."""
        last, plate, camera, lookup, velocity, displacement, cue, cut, importance = memory
        batch, steps, size = travel.shape[0], travel.shape[1], last.shape[-2:]
        alpha = torch.sigmoid(cut)
        weights = F.avg_pool2d(alpha, self.patch_size)
        scale = DRIVEN_ACCELERATION_SCALE if self.driven else ACCELERATION_SCALE
        changes = torch.cat(
            [scale * travel[:, :, :2], travel[:, :, 2:3], torch.sigmoid(travel[:, :, 3:MOTION_CHANNELS])], 2
        )
        wide = COHERENCE_OF_LARGE / self.patch_size
        coherent = normalised_convolution(changes.flatten(1, 2), weights, self.patch_size)
        displacements, maps_back = [], []
        for change in coherent.unflatten(1, (steps, MOTION_CHANNELS)).unbind(1):
            acceleration, inertia, anyway, moving, stopping = change.split([2, 1, 1, 1, 1], 1)
            inertia = torch.sigmoid(inertia + MAX_INERTIA_NOISE * stopping * noise[:, 2:])
            velocity = (inertia * velocity + acceleration).clamp(-MAX_SPEED, MAX_SPEED)
            speed = torch.linalg.vector_norm(velocity, dim=1, keepdim=True)
            astray = gaussian_mean(torch.cat([weights * (MAX_NOISE * anyway + moving * speed), weights], 1), wide)
            displacement = displacement + velocity + astray[:, :1] / (astray[:, 1:] + MIN_WEIGHT_SUM) * noise[:, :2]
            displacements.append(displacement)
            lookup = compose(lookup, camera)
            maps_back.append(lookup)
        lookups = torch.stack(maps_back, 1).flatten(0, 1)  # (b t) 2 3
        own = torch.stack(displacements, 1).flatten(0, 1)  # (b t) 2 rows columns
        own = F.interpolate(own, size, mode="bilinear", align_corners=False)
        source = last[:, None] + APPEARANCE_SCALE * F.pixel_shuffle(travel[:, :, MOTION_CHANNELS:], self.patch_size)
        # what moves relative to the camera passes in front of what does not
        speed = own.square().sum(1, keepdim=True).unflatten(0, (batch, steps))
        in_front = MOTION_IMPORTANCE * speed / (speed + 1)
        opaque = alpha[:, None].expand(-1, steps, -1, -1, -1)
        weight = opaque * (MAX_IMPORTANCE * torch.tanh(importance[:, None]) + in_front).exp()
        carried = camera_flow(invert(lookups), *size) + own
        back, present = find_way_back(carried, weight.flatten(0, 1), opaque.flatten(0, 1))
        layer = torch.cat([source * opaque, opaque], 2).flatten(0, 1)
        colour, cover = warp(layer, back, bicubic=True).split([last.shape[1], 1], 1)
        ground = torch.lerp(last, plate, alpha)  # what is cut out leaves the background behind
        ground = warp(repeat(ground, "b c h w -> (b t) c h w", t=steps), camera_flow(lookups, *size))
        frames = torch.lerp(ground, colour / cover.clamp(min=1e-4), (present * cover).clamp(0, 1)).clamp(-1, 1)
        memory = SplatMemory(last, plate, camera, lookup, velocity, displacement, cue, cut, importance)
        return torch.cat([frames, carried], 1).unflatten(0, (batch, steps)), memory

    def finish(self, results: Tensor, memory: Memory, condition: Tensor, steps: int) -> GeneratorOutput:
        """The frames, and the displacements of the last past frame's pixels (which apply to those cut out)."""
        del memory, condition, steps
        return GeneratorOutput(results[:, :, :-2], displacement=results[:, :, -2:])


def find_way_back(
    displacement: Float[Tensor, "batch 2 height width"],
    weight: Float[Tensor, "batch 1 height width"],
    opacity: Float[Tensor, "batch 1 height width"],
) -> tuple[Float[Tensor, "batch 2 height width"], Float[Tensor, "batch 1 height width"]]:
    """Inverts a forward displacement.

    Returns:
        The flow from where pixels land to where they come from, and whether anything opaque lands there, in [0, 1].
        Where several pixels land, the flow is their weighted mean; in gaps, that of the pixels landing around.
    """
    landed = splat(torch.cat([displacement * weight, weight, opacity], 1), displacement)
    around = window_mean(landed, 1)
    way, total, _ = (landed + around).split([2, 1, 1], 1)
    return -way / total.clamp(min=1e-6), (MAX_STRETCH * around[:, -1:]).clamp(max=1)


class VelocityCorrection(nn.Module):
    """Predicts a correction of each patch's measured velocity: from its pixels, then from the patches around it."""

    def __init__(self, kinds: int, patch_size: int):
        super().__init__()
        fine, coarse = CORRECTION_WIDTHS
        self.look = nn.Conv2d(kinds, fine, 3, padding=1)
        self.gather = nn.Conv2d(fine, coarse, patch_size, stride=patch_size)
        self.around = nn.ModuleList(
            nn.Sequential(
                nn.ReLU(), nn.Conv2d(coarse, coarse, 3, padding=d, dilation=d), nn.ReLU(), nn.Conv2d(coarse, coarse, 1)
            )
            for d in CORRECTION_DILATIONS
        )
        self.change = nn.Conv2d(coarse, 2, 3, padding=1)

    def forward(self, evidence: Float[Tensor, "batch kinds height width"]) -> Float[Tensor, "batch 2 rows columns"]:
        x = self.gather(torch.relu(self.look(evidence)))
        for block in self.around:
            x = x + block(x)
        return self.change(torch.relu(x))


def _full_precision(device: torch.device) -> AbstractContextManager[Any]:
    """Suspends mixed precision, which would round positions to whole pixels or worse."""
    kind = device.type
    return torch.autocast(kind, enabled=False) if torch.amp.is_autocast_available(kind) else nullcontext()


class SplatMemory(NamedTuple):
    """What `SplatOutput` carries from segment to segment."""

    last: Float[Tensor, "batch channels height width"]
    """The last past frame."""
    plate: Float[Tensor, "batch channels height width"]
    """The background, aligned with the last past frame; from the first step on with new content."""
    camera: Float[Tensor, "batch 2 3"]
    """The camera's motion: an affine map of positions in a frame to positions in the previous frame."""
    lookup: Float[Tensor, "batch 2 3"]
    """The affine map of positions in the latest frame to positions in the last past frame."""
    velocity: Float[Tensor, "batch 2 rows columns"]
    """Current (x, y) velocity of the patches relative to the camera, in pixels per frame."""
    displacement: Float[Tensor, "batch 2 rows columns"]
    """(x, y) displacement of the patches so far, relative to the camera, in pixels."""
    cue: Float[Tensor, "batch width rows columns"]
    """Features of the last frame, the plate and the measured velocity, from the first step on."""
    cut: Float[Tensor, "batch 1 height width"]
    """Logit of the opacity of a pixel of the last frame, with which it is cut out of the background."""
    importance: Float[Tensor, "batch 1 height width"]
    """Learned part of the log weight of each pixel, from the first step on."""


class MeasuredMotion(NamedTuple):
    """The motion in the past, measured rather than learned."""

    velocity: Float[Tensor, "batch 2 rows columns"]
    """(x, y) velocity of each patch of the last frame relative to the camera, in pixels per frame."""
    plate: Float[Tensor, "batch channels height width"]
    """The background as far as it has been seen."""
    camera: Float[Tensor, "batch 2 3"]
    """The affine map of positions in a frame to positions in the previous frame."""
    evidence: Float[Tensor, "batch kinds height width"]
    """Inputs of `VelocityCorrection`: the last frame; its differences from the background, and from the previous frame
    warped along the camera's motion and along the flow, divided by NOISE_LEVEL; current and previous velocities; the
    confidence in the current ones."""


@torch.no_grad()
def measure_motion(past: Float[Tensor, "batch time channels height width"], patch: int) -> MeasuredMotion:
    """Measures object and camera motion between the last two frames, and the background.

    The velocity of a pixel is its optical flow minus the camera's. Its confidence is (e_0 - e_1) / (e_0 + n^2), where
    e_0 and e_1 are the squared differences of the frames along the camera's motion and along the flow, and n is
    NOISE_LEVEL. A patch's velocity is the mean over the pixels around it, weighted by confidence and opacity. In a past
    of one frame, everything is at rest.

    Args:
        past: Frames in [-1, 1].
        patch: Side of a patch in pixels.
    """
    last = past[:, -1].float()
    if past.shape[1] == 1:
        still = torch.eye(2, 3, device=last.device).expand(len(last), -1, -1)
        rows, columns = (side // patch for side in last.shape[-2:])
        nothing = torch.zeros_like(last[:, :1]).expand(-1, 3 * last.shape[1] + 5, -1, -1)
        return MeasuredMotion(last.new_zeros(len(last), 2, rows, columns), last, still, torch.cat([last, nothing], 1))
    # the flows to the previous frame and one frame earlier (if there is one), computed at once
    before, earlier = (past[:, max(past.shape[1] - back, 0)].float() for back in (2, 3))
    flow, flow_before = estimate_flow(torch.cat([last, before]), torch.cat([before, earlier])).chunk(2)
    camera = fit_camera(flow, last, before)
    drift = camera_flow(camera, *last.shape[-2:])
    changes = [last - warp(before, moved) for moved in (drift, flow)]
    unexplained, left = (window_mean(each.square().mean(1, keepdim=True), CONFIDENCE_RADIUS) for each in changes)
    confidence = (unexplained - left).clamp(min=0) / (unexplained + NOISE_LEVEL**2)
    plate = estimate_background(past.float(), camera)
    trust = confidence * torch.sigmoid(cut_out(last, plate))
    velocity = normalised_convolution(
        F.avg_pool2d((drift - flow) * trust, patch) / F.avg_pool2d(trust, patch).clamp(min=1e-6),
        F.avg_pool2d(trust, patch),
        patch,
        least=MIN_CONFIDENCE,
    )
    before_that = flow_before - drift if past.shape[1] > 2 else torch.zeros_like(drift)
    unexpected = torch.cat([last - plate, *changes], 1) / NOISE_LEVEL
    evidence = torch.cat([last, unexpected, drift - flow, -before_that, confidence], 1)
    return MeasuredMotion(velocity, plate, camera, evidence)


def cut_out(
    last: Float[Tensor, "batch channels height width"], plate: Float[Tensor, "batch channels height width"]
) -> Float[Tensor, "batch 1 height width"]:
    """Logit of a pixel's opacity as foreground: CUT_SHARPNESS log(e / CUT_LEVEL^2), with e the squared difference."""
    error = window_mean((last - plate).square().mean(1, keepdim=True), CONFIDENCE_RADIUS)
    return CUT_SHARPNESS * (error.clamp(min=1e-6) / CUT_LEVEL**2).log()


def normalised_convolution(
    x: Float[Tensor, "batch channels rows columns"],
    weights: Float[Tensor, "batch 1 rows columns"],
    patch: int,
    *,
    least: float = MIN_WEIGHT_SUM,
) -> Float[Tensor, "batch channels rows columns"]:
    """Weighted means over Gaussian windows (normalised convolution, Knutsson and Westin 1993).

    The windows' standard deviation is COHERENCE pixels, or COHERENCE_OF_LARGE where the weights fill much of the
    larger window. Where the sum of weights falls below `least`, the means fall to zero.
    """
    sums = torch.cat([x * weights, weights], 1)
    narrow, wide = (gaussian_mean(sums, deviation / patch) for deviation in (COHERENCE, COHERENCE_OF_LARGE))
    narrow_mean, wide_mean = (each[:, :-1] / (each[:, -1:] + least) for each in (narrow, wide))
    low, high = LARGE_SHARES
    return torch.lerp(narrow_mean, wide_mean, ((wide[:, -1:] - low) / (high - low)).clamp(0, 1))


def gaussian_mean(
    x: Float[Tensor, "batch channels rows columns"], deviation: float
) -> Float[Tensor, "batch channels rows columns"]:
    """The mean over a Gaussian window around each position, of what lies within the map; deviation in positions."""
    radius = math.ceil(2 * deviation)
    offsets = torch.arange(-radius, radius + 1, device=x.device, dtype=x.dtype)
    window = (-0.5 * (offsets / deviation).square()).exp()
    both = torch.cat([x, torch.ones_like(x[:, :1])], 1).flatten(0, 1)[:, None]
    both = F.conv2d(both, window[None, None, :, None], padding=(radius, 0))
    both = F.conv2d(both, window[None, None, None, :], padding=(0, radius))
    both = both[:, 0].unflatten(0, (len(x), -1))
    return both[:, :-1] / both[:, -1:]
