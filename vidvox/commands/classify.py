"""vidvox classify: trains a classifier on generated samples and tests it on real ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gancore.evaluation.config import REPORT_FILE
from gancore.files.labelled_set import MANIFEST, read_manifest
from gancore.files.outputs import check_outputs, check_replaceable
from gancore.parsing import parse_config, report_user_errors


@dataclass(frozen=True, kw_only=True)
class ClassifyConfig:
    """Train a small classifier on generated samples and test it on real ones (TSTR), and the other way round (TRTS).

    It is a logistic regression on small frames or coarse voxels, compared with one trained on real samples (Esteban et
    al. 2017).
    """

    generated: Path
    """Folder that `vidvox generate --dataset` wrote."""

    real: str = "furniture"
    """Real samples of the same classes: a prepared data set of objects, or a folder of clips in class folders. The
    default is the furniture that comes with the package."""

    out: Path | None = None
    """Folder for report.json; none if not given."""

    overwrite: bool = False
    """Replace a report that exists, if this program made it."""


@report_user_errors
def main(argv: Sequence[str] | None = None, *, prog: str = "") -> None:
    """Train, test, print a table and write a report."""
    config = parse_config(
        ClassifyConfig,
        argv,
        prog=prog,
        positional=["generated"],
        main=["real", "out", "overwrite"],
        examples="""
            vidvox classify made --real furniture
            vidvox classify made --real CLIPS -o report
        """,
    )
    if not (config.generated / MANIFEST).is_file():
        raise FileNotFoundError(f"{config.generated} is not a data set written by vidvox generate --dataset")
    manifest = read_manifest(config.generated)
    if config.out:
        inputs = [config.generated, Path(config.real)]
        check_outputs([config.out / REPORT_FILE], inputs=inputs, overwrite=config.overwrite, are_files=True)
        check_replaceable(config.out / REPORT_FILE)

    from gancore.evaluation.report import write_report_json
    from gancore.evaluation.transfer import format_transfer, measure_transfer
    from gancore.reporting.provenance import DataFingerprint, collect_provenance

    if manifest["kind"] == "voxels":
        from voxgan.evaluation.labelled_voxels import read_generated_voxels, read_real_voxels

        generated = read_generated_voxels(config.generated)
        real, tested = (read_real_voxels(config.real, split=split) for split in ("train", "test"))
    else:
        from vidgan.evaluation.labelled_clips import read_generated_clips, read_real_clips

        generated, shape = read_generated_clips(config.generated)
        real, tested = (read_real_clips(Path(config.real), split=split, shape=shape) for split in ("train", "test"))
    fingerprint = DataFingerprint()
    for part in (real, tested, generated):
        fingerprint.add(part.rows)
    origin = {key: value for key, value in manifest.items() if key != "files"}
    report = measure_transfer(
        real,
        tested,
        generated,
        protocol={"real": config.real, "generated": origin},
        provenance=collect_provenance(seed=manifest.get("seed", 0), data=fingerprint.hexdigest()),
    )
    if config.out:
        write_report_json(report, config.out)
    print(format_transfer(report))
