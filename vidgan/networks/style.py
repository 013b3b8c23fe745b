"""Style generator of clips (StyleGAN-V): one style vector for the content, and motion codes at continuous times.

Letters in einops patterns: b batch, t timestep, c channel, h and w rows and columns, k anchor.
"""

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from gancore.layers import leaky_relu
from gancore.style import EqualisedLinear, MappingNetwork, Styles, StyleSynthesis, repeat_styles
from vidgan.config import ClipShape, VideoGeneratorConfig
from vidgan.motion_config import MotionCodeConfig

Times = Float[Tensor, "batch time"]
"""Times of frames, in frames of the training data: non-negative real numbers, 0 for a clip's first frame."""


class MotionCodes(nn.Module):
    """Motion codes at continuous times (StyleGAN-V, Skorokhodov et al. 2022, section 3.1).

    Noise is drawn for anchors at times 0, D, 2 D, ...; two convolutions over the anchors, without padding, turn it into
    codes u. Between two anchors, at a time t after the left one, with frequencies f and learned linear maps W_i,

        v(t) = sin and cos of (f (1 + tanh(W_1 u)) t + s W_2 u)        s = (longest period) f / 2 pi

    minus its linear interpolation between the anchors, plus the linear interpolation from W_3 u_left to W_3 u_right,
    which makes the code continuous at anchors. There are no biases: all motion depends on the noise. Time is counted
    from the left anchor, not from the first frame, so that all parts of a clip have the same statistics, at any length.
    """

    frequencies: Float[Tensor, " frequencies"]
    phase_scales: Float[Tensor, " frequencies"]

    def __init__(self, config: MotionCodeConfig):
        super().__init__()
        self.config = config
        size, count = config.size, config.frequencies
        self.convs = nn.ModuleList(
            EqualisedLinear(size * config.kernel, size, bias=None, lr=config.lr) for _ in range(2)
        )
        self.rates = EqualisedLinear(size, count, bias=None)
        self.phases = EqualisedLinear(size, count, bias=None)
        self.anchors = EqualisedLinear(size, 2 * count, bias=None)
        periods = torch.logspace(math.log2(config.longest_period), math.log2(config.shortest_period), count, base=2)
        self.register_buffer("frequencies", 2 * math.pi / periods)
        self.register_buffer("phase_scales", config.longest_period / periods)

    @property
    def width(self) -> int:
        """Size of a code."""
        return 2 * self.config.frequencies

    def count_noise(self, steps: int) -> int:
        """Number of noise vectors for `steps` frames one time unit apart, from any start below the anchor distance."""
        anchors = math.ceil((steps - 1) / self.config.distance) + 2
        return anchors + 2 * (self.config.kernel - 1)

    def forward(self, noise: Float[Tensor, "batch count size"], times: Times) -> Float[Tensor, "batch time code"]:
        """The codes at these times; each depends only on its own time and on the noise of anchors around it.

        Raises ValueError in eval mode for a time that the noise does not cover.
        """
        u = noise
        for conv in self.convs:
            windows = u.unfold(1, self.config.kernel, 1)  # b k size kernel
            u = leaky_relu(conv(windows.flatten(2))) * math.sqrt(2)
        distance = self.config.distance
        left = (times / distance).floor().long()
        checked = not (self.training or torch.compiler.is_compiling())  # training must not wait for the device
        if checked and (int(left.min()) < 0 or int(left.max()) + 1 >= u.shape[1]):
            raise ValueError(f"times must lie in [0, {(u.shape[1] - 1) * distance:g}) for this much noise")
        share = (times / distance - left)[:, :, None]
        rows = torch.arange(len(u), device=u.device)[:, None]
        u_left, u_right = u[rows, left], u[rows, left + 1]
        rate, phase = self.frequencies * (1 + self.rates(u_left).tanh()), self.phase_scales * self.phases(u_left)

        def waves(since: Tensor | float) -> Tensor:
            angle = rate * since + phase
            return torch.cat([angle.sin(), angle.cos()], 2)

        straight = torch.lerp(waves(0.0), waves(distance), share)
        return waves(share * distance) - straight + torch.lerp(self.anchors(u_left), self.anchors(u_right), share)


class StyleClips(nn.Module):
    """The style generator of clips: StyleGAN2 for each frame, with the motion code joined to its smallest map.

    A latent holds the content's noise, then that of the motion's anchors. Models of single frames have no motion.
    """

    def __init__(self, config: VideoGeneratorConfig, shape: ClipShape, *, condition: int):
        super().__init__()
        self.config, self.shape = config, shape
        self.mapping = MappingNetwork(config.style, config.latent_dim, condition=condition)
        self.motion = MotionCodes(config.motion) if shape.clip_frames > 1 else None
        stride = config.spatial_stride
        self.synthesis = StyleSynthesis(
            2,
            config.widths,
            shape.channels * config.patch_size**2,
            config=config.style,
            start=(-(-shape.height // stride), -(-shape.width // stride)),
            inputs=self.motion.width if self.motion else 0,
        )

    def noise_sizes(self, steps: int) -> list[int]:
        """Sizes of the parts of a latent for `steps` frames: of the content, then of each anchor."""
        anchors = self.motion.count_noise(steps) if self.motion else 0
        return [self.config.latent_dim, *[self.config.motion.size] * anchors]

    def map_latents(
        self,
        latent: Float[Tensor, "batch latent"],
        condition: Float[Tensor, "batch condition"] | None = None,
        *,
        truncation: float | None = None,
    ) -> Styles:
        """The styles of latents, the same for every layer; see `MappingNetwork.forward` for the truncation."""
        w = self.mapping(latent[:, : self.config.latent_dim], condition, truncation=truncation)
        return repeat_styles(w, self.synthesis.num_styles)

    def forward(
        self, styles: Styles, latent: Float[Tensor, "batch latent"], times: Times
    ) -> Float[Tensor, "batch time channels height width"]:
        """Frames in [-1, 1] at these times, from styles and the latents' motion part. Raises as `MotionCodes`."""
        codes = None
        if self.motion is not None:
            noise = latent[:, self.config.latent_dim :].unflatten(1, (-1, self.config.motion.size))
            with torch.autocast(noise.device.type, enabled=False):  # half precision would shift phases
                codes = self.motion(noise, times).flatten(0, 1)
        x = self.synthesis(styles.repeat_interleave(times.shape[1], 0), codes)
        frames = torch.tanh(F.pixel_shuffle(x, self.config.patch_size))
        frames = frames[..., : self.shape.height, : self.shape.width]
        return rearrange(frames, "(b t) c h w -> b t c h w", t=times.shape[1])
