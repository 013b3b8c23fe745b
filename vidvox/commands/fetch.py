"""vidvox fetch: downloads the published weights that metrics need."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gancore.parsing import parse_config, report_user_errors
from vidvox.commands.inputs import require_file


@dataclass(frozen=True)
class FetchConfig:
    """Download published weights into $VIDVOX_CACHE/weights or the user's cache, once, and check their hashes."""

    names: tuple[str, ...] = ()
    """Names: i3d (FVD), transnet, efficientnet, lpips and alexnet (LPIPS), inception (FID)."""

    file: Path | None = None
    """Use this file instead of downloading, for machines without a network; it is checked and copied. One name only."""

    def __post_init__(self) -> None:
        if not self.names:
            raise ValueError("name the weights to get: i3d, transnet, efficientnet, lpips, alexnet, inception")
        if self.file and len(self.names) > 1:
            raise ValueError(f"file holds the weights of one name, not of {' and '.join(self.names)}")


@report_user_errors
def main(argv: Sequence[str] | None = None, *, prog: str = "") -> None:
    """Fetch weights, and print their path and licence."""
    config = parse_config(
        FetchConfig,
        argv,
        prog=prog,
        positional=["names"],
        examples="""
            vidvox fetch i3d transnet efficientnet
            vidvox fetch inception --file weights-inception-2015-12-05-6726825d.pth
        """,
    )
    if config.file:
        require_file(config.file)

    from gancore.features.weights import fetch_weights, look_up_weights

    licences = {name: look_up_weights(name).licence for name in config.names}  # a typo shows before anything is fetched
    for name, licence in licences.items():
        print(f"{name}: {fetch_weights(name, config.file)} ({licence})")
