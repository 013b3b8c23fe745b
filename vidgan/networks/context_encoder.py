"""The encoder of past frames, which makes the initial states of the decoder's recurrent units (DVD-GAN-FP)."""

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from gancore.layers import ResidualBlock
from vidgan.config import ClipShape, VideoGeneratorConfig
from vidgan.networks.correlation import correlation_volume
from vidgan.networks.recurrent import build_recurrent_unit


class ContextEncoder(nn.Module):
    """Residual blocks that halve the maps of every past frame, and a summary over time at each resolution.

    With "stack" (DVD-GAN-FP) the summary is a convolution over the stacked features of a fixed number of frames. With
    "recurrent" it is a recurrent unit over any number of frames; the input then contains each frame, its difference
    from the previous frame, and the correlation volume of the two.
    """

    def __init__(self, config: VideoGeneratorConfig, shape: ClipShape):
        super().__init__()
        self.config, self.stacked_frames = config, shape.context_frames
        widths = config.widths[-2::-1]  # of the decoder's states, largest map first
        frame_channels = shape.channels * config.patch_size**2
        if config.context_encoder == "recurrent":
            frame_channels = 2 * frame_channels + (2 * config.correlation_radius + 1) ** 2
        inputs = [frame_channels, *widths[:-1]]
        self.blocks = nn.ModuleList(
            ResidualBlock(before, after, resample="down", skip_first_activation=number == 0)
            for number, (before, after) in enumerate(zip(inputs, widths, strict=True))
        )
        summaries: list[nn.Module]
        if config.context_encoder == "stack":
            summaries = [nn.Conv2d(shape.context_frames * width, width, 3, padding=1) for width in widths]
        else:
            summaries = [
                build_recurrent_unit(config.recurrent_unit, width, width, activation=config.state_activation)
                for width in widths
            ]
        self.summaries = nn.ModuleList(summaries)

    def forward(self, past: Float[Tensor, "batch time channels height width"]) -> list[Float[Tensor, "batch _ _ _"]]:
        """One state (batch width rows columns) for each level of the decoder, smallest map first.

        An encoder that stacks frames uses the last ones, and raises ValueError if there are too few.
        """
        if self.config.context_encoder == "stack":
            if past.shape[1] < self.stacked_frames:
                raise ValueError(f"this model needs {self.stacked_frames} past frames, got {past.shape[1]}")
            past = past[:, -self.stacked_frames :]
        x = F.pixel_unshuffle(rearrange(past, "b t c h w -> (b t) c h w"), self.config.patch_size)
        if self.config.context_encoder == "recurrent":
            frames = rearrange(x, "(b t) c h w -> b t c h w", b=len(past))
            change = frames - torch.cat([frames[:, :1], frames[:, :-1]], 1)
            correlation = correlation_volume(frames, self.config.correlation_radius)
            x = torch.cat([frames, change, correlation], 2).flatten(0, 1)
        states: list[Tensor] = []
        for block, summary in zip(self.blocks, self.summaries, strict=True):
            x = block(x)  # (b t) width rows columns
            if self.config.context_encoder == "stack":
                state = torch.relu(summary(rearrange(x, "(b t) c h w -> b (t c) h w", b=len(past))))
            else:
                state = summary(rearrange(x, "(b t) c h w -> b t c h w", b=len(past)))[:, -1]
            states.append(state)
        return states[::-1]
