"""vidvox ratings: summarises what people chose on a rating page."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from gancore.files.outputs import check_outputs
from gancore.parsing import parse_config, report_user_errors
from vidvox.commands.inputs import require_file


@dataclass(frozen=True, kw_only=True)
class RatingsConfig:
    """Summarise the answers to a page of blind pairs: preferences, their confidence intervals, and rater agreement."""

    answers: tuple[Path, ...]
    """Files that the rating page saved, one for each rater."""

    key: Path
    """The key of the page: the JSON file written beside it, which tells which item is which."""

    out: Path | None = None
    """JSON file for the numbers; none if not given."""

    overwrite: bool = False
    """Replace a file of numbers that exists."""


@report_user_errors
def main(argv: Sequence[str] | None = None, *, prog: str = "") -> None:
    """Print the preferences, and write them to `out` if given."""
    config = parse_config(
        RatingsConfig,
        argv,
        prog=prog,
        positional=["answers"],
        examples="vidvox ratings answers-*.json --key report/rate.key.json",
    )
    for path in (*config.answers, config.key):
        require_file(path)
    check_outputs([config.out], inputs=[*config.answers, config.key], overwrite=config.overwrite, are_files=True)

    from gancore.reporting.preference import format_preferences, read_ratings
    from gancore.reporting.provenance import write_json

    preferences = read_ratings(config.answers, key=config.key)
    print(format_preferences(preferences))
    if config.out:
        write_json({"preferences": [asdict(preference) for preference in preferences]}, config.out)
