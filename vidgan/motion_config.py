"""Settings of the motion of clips that are made from styles; nothing here imports torch."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class MotionCodeConfig:
    """Codes by which the frames of a style generator's clip move (StyleGAN-V, Skorokhodov et al. 2022)."""

    size: int = 64
    """Size of each anchor's noise and code; 512 in the paper."""

    distance: float = 16.0
    """Frames between two anchors."""

    kernel: int = 3
    """Anchors that each of the two convolutions over them sees; 11 in the paper."""

    lr: float = 0.01
    """Learning rate of these convolutions, as a fraction of the generator's."""

    frequencies: int = 32
    """Waves of different frequencies, whose periods are spread evenly on a logarithmic scale; 256 in the paper."""

    shortest_period: float = 16.0
    """Shortest period of a wave, in frames."""

    longest_period: float = 1024.0
    """Longest period of a wave, in frames."""

    def __post_init__(self) -> None:
        for name in ("size", "kernel", "frequencies"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not self.distance > 0:
            raise ValueError(f"distance must be above 0, got {self.distance}")
        if not 0 < self.lr <= 1:
            raise ValueError(f"lr must lie in (0, 1], got {self.lr}")
        if not 0 < self.shortest_period <= self.longest_period:
            raise ValueError(
                f"shortest_period must lie in (0, {self.longest_period}], the longest, got {self.shortest_period}"
            )
