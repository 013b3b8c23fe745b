"""The settings that evaluations of clips and of objects have in common; torch is not imported."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gancore.files.outputs import KEY_SUFFIX
from gancore.splits import Split

REPORT_FILE, REPORT_PAGE = "report.json", "report.html"
"""Files of a report, in its folder."""


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """What to measure, on how much data, and where to write the results."""

    model: str | None = None
    """Folder of a trained model (runs/NAME/generator), or its name on the Hub."""

    predictions: Path | None = None
    """Files of another tool, paired with the ground truth by name."""

    unpaired: bool = False
    """The predictions were generated from noise: compare them with the ground truth as sets, ignoring their names."""

    split: Split = "test"
    """Part of the data to measure on."""

    max_items: int | None = None
    """Measure at most this many items, evenly spaced over the data; all if not given."""

    batch: int = 4
    """Items per batch, which bounds the memory needed; the scores do not depend on it."""

    seed: int = 0
    """Seed of everything that is drawn at random."""

    out: Path | None = None
    """Folder for report.json (all numbers and the protocol) and report.html (a page to look at); none if not given."""

    rating_page: Path | None = None
    """HTML page on which people choose between two unlabelled items, generated or real; none if not given."""

    rating_pairs: int = 24
    """Pairs on that page."""

    cpu: bool = False
    """Stay on the CPU even if there is a GPU."""

    overwrite: bool = False
    """Replace a report and a rating page that exist, if this program made them."""

    def __post_init__(self) -> None:
        require_at_least(self, batch=1, rating_pairs=1, max_items=1)
        if self.out and self.out.suffix in (".json", ".html"):
            raise ValueError(f"out is a folder, in which report.json and report.html are written, not {self.out}")
        if self.rating_page and self.rating_page.suffix != ".html":
            raise ValueError(f"rating_page is the name of a page, such as rate.html, not {self.rating_page}")

    def list_outputs(self) -> list[Path]:
        """Return the files that an evaluation writes: report and rating page, with the page's key."""
        report = [self.out / REPORT_FILE, self.out / REPORT_PAGE] if self.out else []
        page = [self.rating_page, self.rating_page.with_suffix(KEY_SUFFIX)] if self.rating_page else []
        return [*report, *page]


def require_at_least(config: Any, **minimums: int) -> None:
    """Raise ValueError that names the first of these fields whose value lies below its minimum; None is allowed."""
    for name, minimum in minimums.items():
        value = getattr(config, name)
        if value is not None and value < minimum:
            raise ValueError(f"{name} must be at least {minimum}, got {value}")
