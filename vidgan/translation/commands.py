"""Settings of the commands that use a translator; torch is not imported."""

from dataclasses import dataclass, field

from gancore.evaluation.config import EvaluationConfig, require_at_least
from vidgan.translation_config import PairDataConfig


@dataclass(frozen=True, kw_only=True)
class EvaluateTranslationConfig(EvaluationConfig):
    """Measure a network from clip to clip on held-out clips, beside simple methods that need no training."""

    baseline_model: str | None = None
    """Another model from clip to clip that is measured beside it, such as one trained without the game."""

    data: PairDataConfig = field(default_factory=PairDataConfig)
    """Pairs to measure on; what is not given is taken from the config.json of the model's run, if there is one."""

    severities: tuple[float, ...] = (3.0,)
    """Severities at which each kind of degradation in data.degradations is measured, one after the other."""

    max_items: int | None = None
    """Measure at most this many clips of each kind, evenly spaced; if not given, 64."""

    networks: tuple[str, ...] = ("colours",)
    """Networks that compare sets of clips: i3d (FVD), transnet, efficientnet, inception, colours; lpips and
    efficientnet also compare frames; or none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(self, max_items=1)
        if not self.model:
            raise ValueError("--model is required")
        if self.predictions or self.unpaired or self.rating_page:
            raise ValueError(
                "predictions, unpaired and rating_page are for futures: vidvox evaluate video compares the clips of "
                "another tool with the truth"
            )
        for severity in self.severities:
            if not 0 <= severity <= 5:
                raise ValueError(f"severities must lie in [0, 5], got {severity}")
        if not self.severities:
            raise ValueError("severities must not be empty")
