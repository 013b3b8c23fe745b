"""Get the published weights that metrics need: python tools/fetch_weights.py i3d transnet efficientnet."""

from dataclasses import dataclass

from gancore.config import parse, user_errors
from gancore.weights import KNOWN, fetch, known


@dataclass(frozen=True)
class FetchConfig:
    """Downloads published weights into $VIDVOX_CACHE/weights or the user's cache, once, and checks their hashes."""

    names: tuple[str, ...] = ()
    """Which: i3d (FVD), transnet, efficientnet, lpips and alexnet (LPIPS), inception (FID)."""

    def __post_init__(self) -> None:
        if not self.names:
            raise ValueError(f"name the weights to get: {', '.join(KNOWN)}")
        for name in self.names:
            known(name)


@user_errors
def main() -> None:
    for name in parse(FetchConfig, positional=["names"]).names:
        print(f"{name}: {fetch(name)} ({KNOWN[name].licence})")


if __name__ == "__main__":
    main()
