"""vidvox push: publishes a model on the Hub, with a model card written from its run folder and its report."""

import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gancore.files.atomic import atomic_write, create_parents
from gancore.files.outputs import check_outputs
from gancore.model_files import find_model, list_model_inputs
from gancore.parsing import parse_config, report_user_errors
from vidvox.commands.inputs import require_file
from vidvox.kinds import require_kind

CARD, MODEL_FILES = "README.md", ("config.json", "model.safetensors")
"""What is uploaded."""


@dataclass(frozen=True, kw_only=True)
class PushConfig:
    """Publish a model on the Hub: config.json, model.safetensors and a model card, README.md."""

    model: str
    """Run folder, or folder of a model."""

    repo: str
    """Name on the Hub, user/name; created if it does not exist."""

    report: Path | None = None
    """report.json of an evaluation, whose numbers the card shows; if not given, report/report.json in the run folder,
    where `vidvox evaluate RUN -o RUN/report` writes it."""

    licence: str | None = None
    """Licence identifier of the weights, such as mit or cc-by-4.0."""

    data: str | None = None
    """A sentence for the card about the training data and its licence."""

    half: bool = False
    """Store the weights in half precision, which takes half the space; they are loaded in single precision anyway."""

    private: bool = False
    """Make a newly created repository private."""

    out: Path | None = None
    """Write the files that would be uploaded to this folder, and upload nothing."""

    overwrite: bool = False
    """Replace existing files in that folder; a README.md only if this program wrote it."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\w[\w.-]*/[\w.-]+", self.repo):
            raise ValueError(f"repo should be user/name, not {self.repo}")
        if self.licence and not re.fullmatch(r"[\w.+-]+", self.licence, re.ASCII):
            raise ValueError(f"licence should be an identifier such as mit or cc-by-4.0, not {self.licence}")


@report_user_errors
def main(argv: Sequence[str] | None = None, *, prog: str = "") -> None:
    """Write the card and upload it with the model, or write both to a folder."""
    config = parse_config(
        PushConfig,
        argv,
        prog=prog,
        positional=["model", "repo"],
        examples="""
            vidvox push runs/mine user/name --licence mit --data "Two hours of street scenes, CC BY 4.0."
            vidvox push runs/mine user/name -o preview      (uploads nothing)
        """,
    )
    require_kind(config.model)
    model = Path(find_model(config.model))
    if not model.is_dir():
        raise ValueError(f"{config.model} is not a folder on this machine")
    report = config.report or _find_report(model)
    if report:
        require_file(report)
    if config.out:
        _check_folder(config.out, [*list_model_inputs(config.model), report], overwrite=config.overwrite)
    if report is None:
        print(f"no report: the card has no metrics (vidvox evaluate {model} -o {model.parent / 'report'})")
    if config.out:
        _write_files(config, model, report, config.out)
        print(f"{config.out / CARD}; nothing was uploaded")
        return

    from huggingface_hub import HfApi

    with tempfile.TemporaryDirectory() as folder:
        _write_files(config, model, report, Path(folder))
        try:
            url = HfApi().create_repo(config.repo, private=config.private, exist_ok=True)
            HfApi().upload_folder(repo_id=config.repo, folder_path=folder)
        except Exception as error:  # among others those of its HTTP library, which differs between versions
            raise ValueError(f"{config.repo} cannot be uploaded: {error} (log in with: hf auth login)") from error
    print(url)


def _find_report(model: Path) -> Path | None:
    """The report beside the model or in its run folder; None if there is none."""
    places = [folder / "report" / "report.json" for folder in (model, model.parent)]
    return next((path for path in places if path.is_file()), None)


def _check_folder(folder: Path, inputs: Sequence[Path | None], *, overwrite: bool) -> None:
    """Raise ValueError if a file in the folder must not be replaced."""
    check_outputs([folder / name for name in (CARD, *MODEL_FILES)], inputs=inputs, overwrite=overwrite, are_files=True)
    card = folder / CARD
    if card.exists() and not card.read_bytes().startswith(b"---\nlibrary_name: vidvox\n"):
        raise ValueError(f"{card} was not written by this program and is not replaced: choose another output")


def _write_files(config: PushConfig, model: Path, report: Path | None, folder: Path) -> None:
    from vidvox.model_card import ModelCard, write_model_card

    card = ModelCard(repo=config.repo, licence=config.licence, data=config.data)
    text = write_model_card(card, model, report=report)
    create_parents(folder / CARD)
    with atomic_write(folder / CARD) as partial:
        partial.write_text(text, encoding="utf-8", errors="replace")
    if config.half:
        from vidvox.models import load_model

        load_model(model, device="cpu").network.save_pretrained(folder, half=True)
        return
    for name in MODEL_FILES:
        with atomic_write(folder / name) as partial:
            shutil.copyfile(model / name, partial)
