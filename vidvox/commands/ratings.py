"""vidvox ratings: what people chose on a rating page."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from gancore.files.outputs import check_outputs
from gancore.parsing import parse_config, report_user_errors


@dataclass(frozen=True, kw_only=True)
class RatingsConfig:
    """Summarise the answers of people to a page of blind pairs: who was preferred, how surely, and how they agree."""

    answers: tuple[Path, ...]
    """Files that the page saved, one for each rater."""

    key: Path
    """The JSON file that was written beside the page."""

    out: Path | None = None
    """JSON file for the numbers; none if not given."""

    overwrite: bool = False
    """Replace a file of numbers that exists."""


@report_user_errors
def main(argv: Sequence[str] | None = None, *, prog: str = "") -> None:
    """Print the preferences, and write them where that is asked for."""
    config = parse_config(
        RatingsConfig,
        argv,
        prog=prog,
        positional=["answers"],
        examples="vidvox ratings answers-*.json --key report/rate.key.json",
    )
    for path in (*config.answers, config.key):
        if not path.is_file():
            raise FileNotFoundError(f"no such file: {path}")
    check_outputs([config.out], inputs=[*config.answers, config.key], overwrite=config.overwrite, are_files=True)

    from gancore.reporting.preference import format_preferences, read_ratings
    from gancore.reporting.provenance import write_json

    preferences = read_ratings(config.answers, key=config.key)
    print(format_preferences(preferences))
    if config.out:
        write_json({"preferences": [asdict(preference) for preference in preferences]}, config.out)
