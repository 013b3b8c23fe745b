"""Get the published weights that metrics need: python tools/fetch_weights.py i3d transnet efficientnet."""

from dataclasses import dataclass
from pathlib import Path

from gancore.features.weights import PUBLISHED_WEIGHTS, fetch_weights, look_up_weights
from gancore.parsing import parse_config, report_user_errors


@dataclass(frozen=True)
class FetchConfig:
    """Downloads published weights into $VIDVOX_CACHE/weights or the user's cache, once, and checks their hashes."""

    names: tuple[str, ...] = ()
    """Which: i3d (FVD), transnet, efficientnet, lpips and alexnet (LPIPS), inception (FID)."""

    file: str = ""
    """The file itself, where there is no network: it is checked and copied. Of one name only."""

    def __post_init__(self) -> None:
        if not self.names:
            raise ValueError(f"name the weights to get: {', '.join(PUBLISHED_WEIGHTS)}")
        for name in self.names:
            look_up_weights(name)
        if self.file and len(self.names) > 1:
            raise ValueError("file is that of one name")
        if self.file and not Path(self.file).is_file():
            raise FileNotFoundError(f"no such file: {self.file}")


@report_user_errors
def main() -> None:
    config = parse_config(FetchConfig, positional=["names"])
    for name in config.names:
        print(f"{name}: {fetch_weights(name, config.file)} ({PUBLISHED_WEIGHTS[name].licence})")


if __name__ == "__main__":
    main()
