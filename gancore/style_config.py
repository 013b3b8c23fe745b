"""Settings of style generators and their training, shared by videos and voxels; nothing here imports torch."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class StyleConfig:
    """A style generator (StyleGAN2, Karras et al. 2020): the latent acts through styles of all convolutions."""

    width: int = 128
    """Size of a style vector w; 512 in the paper."""

    mapping_layers: int = 2
    """Layers from the latent to w; 8 in the paper, 2 in its automatic settings."""

    mapping_lr: float = 0.01
    """Learning rate of these layers, as a fraction of the generator's."""

    layers_per_level: int = 2
    """Convolutions at each resolution; 2 in the paper."""

    skip_outputs: bool = True
    """Every resolution adds to the output; false leaves that to the last."""

    def __post_init__(self) -> None:
        for name in ("width", "mapping_layers", "layers_per_level"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0 < self.mapping_lr <= 1:
            raise ValueError(f"mapping_lr must lie in (0, 1], got {self.mapping_lr}")


@dataclass(frozen=True, kw_only=True)
class StyleObjectiveConfig:
    """Regularisation of a style generator's training."""

    mixing_probability: float = 0.0
    """Fraction of samples whose fine resolutions have the style of another latent; 0.9 in the paper."""

    path_length_weight: float = 0.0
    """Weight of the path length penalty, by which steps of one size in w change the output alike; 2 in the paper."""

    path_length_every: int = 4
    """Apply that penalty at every n-th update only, n times as strongly."""

    def __post_init__(self) -> None:
        if not 0 <= self.mixing_probability <= 1:
            raise ValueError(f"mixing_probability must lie in [0, 1], got {self.mixing_probability}")
        if not self.path_length_weight >= 0:
            raise ValueError(f"path_length_weight must be at least 0, got {self.path_length_weight}")
        if self.path_length_every < 1:
            raise ValueError(f"path_length_every must be at least 1, got {self.path_length_every}")


def check_growing(fraction: float) -> None:
    """Raises ValueError unless this is a fraction of the training over which the resolution may grow."""
    if not 0 <= fraction < 1:
        raise ValueError(f"growing must lie in [0, 1), got {fraction}")


def check_kind(kind: str, style: StyleConfig, training: StyleObjectiveConfig, *, growing: float) -> None:
    """Raises ValueError for style settings with another kind of generator, and for growing without skip outputs."""
    if kind != "style":
        for name, given in {"generator.style": style, "objective.style": training}.items():
            if given != type(given)():
                raise ValueError(f"{name} has settings of style generators, and generator.kind is {kind}")
    elif growing and not style.skip_outputs:
        raise ValueError("objective.growing needs generator.style.skip_outputs: a coarse output has to come from them")
