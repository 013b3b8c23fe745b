"""What a generator is: the clips it makes, and the choices that make up its network."""

from dataclasses import dataclass
from typing import Literal

from vidgan.networks.recurrent import RecurrentUnitName, StateActivation


@dataclass(frozen=True, kw_only=True)
class ClipShape:
    """What a model's clips are like."""

    channels: int = 1
    """Channels of a frame: 1, 3 or any other number."""

    height: int = 64
    """Height of the frames trained on, in pixels."""

    width: int = 64
    """Width of the frames trained on, in pixels."""

    context_frames: int = 10
    """Frames seen before the prediction starts; 0 for synthesis from noise."""

    clip_frames: int = 20
    """Frames of a whole clip, context included."""

    classes: tuple[str, ...] = ()
    """Names of the classes, by their numbers; empty without classes."""


@dataclass(frozen=True, kw_only=True)
class VideoGeneratorConfig:
    """A generator; the defaults are the modern preset."""

    base_channels: int = 16
    """Base width; every level's width is a multiple of it."""

    channel_multipliers: tuple[int, ...] = (4, 4, 3, 2)
    """Width of the smallest map, then of the map after each level, each level doubling the resolution."""

    latent_dim: int = 64
    """Size of the noise vector, N(0, I)."""

    embedding_dim: int = 120
    """Size of the learned class embedding, if there are classes."""

    recurrent_unit: RecurrentUnitName = "gru"
    """Recurrent unit: ConvGRU (DVD-GAN) or a transforming unit (TriVD-GAN)."""

    state_activation: StateActivation = "tanh"
    """Non-linearity of the recurrent state; ReLU in the paper."""

    blocks_per_level: int = 1
    """Residual blocks a level, the last of which doubles the resolution; 2 in the paper."""

    norm: Literal["group", "batch"] = "group"
    """Conditional norm in the blocks: group norm, or batch norm with statistics of each timestep as in the paper."""

    patch_size: int = 2
    """Space-to-depth at the rim: networks work at 1/patch of the frame size."""

    latent_init: Literal["vector", "map"] = "vector"
    """The smallest map made from the noise: one vector everywhere, or an affine map to all positions (paper)."""

    context_encoder: Literal["recurrent", "stack"] = "recurrent"
    """How past frames become initial states: a recurrent unit a level, or a convolution over stacked frames (paper)."""

    correlation_radius: int = 2
    """How far, in patches, the recurrent context looks for each place of a frame in the frame before."""

    output: Literal["motion", "sprites", "frames"] = "motion"
    """How frames are made: as the last seen one bent plus new content, its parts moved rigidly, or anew (paper)."""

    motion_layers: int = 2
    """Independently moving layers of the outputs that have them."""

    attention_after: int = 0
    """Level after which frames attend to themselves, 1 being the smallest; 0 for none."""

    spectral_norm: bool = False
    """Spectral norm on every weight (paper)."""

    zero_init_residual: bool = True
    """Residual blocks start as their shortcut."""

    segment_steps: int = 0
    """Timesteps made at once; in training earlier segments are recomputed instead of kept. 0: all at once."""

    def __post_init__(self) -> None:
        if len(self.channel_multipliers) < 2:
            raise ValueError("generator.channel_multipliers: at least two numbers are needed, the start and one level")
        if not 0 <= self.attention_after < len(self.channel_multipliers):
            raise ValueError(
                f"generator.attention_after: {self.attention_after}, but there are {len(self.channel_multipliers) - 1} levels"
            )
        if self.spectral_norm and self.zero_init_residual:
            raise ValueError(
                "generator.zero_init_residual: a zero weight has no spectral norm; set one of the two to false"
            )
        if self.spectral_norm and self.output == "sprites":
            raise ValueError("generator.output: sprites start with a weight of zero, which has no spectral norm")

    @property
    def spatial_stride(self) -> int:
        """Frame pixels a position of the smallest map stands for."""
        return self.patch_size * 2 ** (len(self.channel_multipliers) - 1)

    @property
    def widths(self) -> list[int]:
        """Channels of the smallest map, then after each level."""
        return [self.base_channels * multiplier for multiplier in self.channel_multipliers]
