"""Training in a locked run folder, resumed only with the settings and data that the run was started with."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from gancore.data import describe_items
from gancore.errors import ArchitectureError
from gancore.parsing import save_config, to_dict
from gancore.training.changes import Change, list_changes, refuse_changes
from gancore.training.processes import ask_main_process
from gancore.training.run_folder import hold_run_folder
from gancore.training.trainer import Trainer

ADVICE = "choose another --run, or move what is there aside and begin anew by --train.start_over"
"""What to do about a run that cannot be resumed."""


def train_run(
    trainer: Trainer,
    settings: Any,
    announce: Callable[[str], None] | None = None,
    describe: Callable[[], str] | None = None,
) -> str:
    """Trains, or resumes a run, and returns one line that says how far it got.

    The run folder is locked meanwhile, and the settings are saved there as config.json.

    Args:
        trainer: The trainer, whose run folder is used.
        settings: The settings of the whole command, a dataclass.
        announce: Called in the main process with lines for the user.
        describe: Makes the first announcement; called once the run folder is known to fit.

    Raises:
        ValueError: The folder is in use or is not a run folder, all its checkpoints are damaged, or settings or data
            on which the resumed weights depend have changed without `train.allow_changes`; or see `Trainer.train`.
    """
    accelerator, run, config = trainer.accelerator, trainer.run, trainer.config
    say = announce or _ignore
    trainer.settings = to_dict(settings) | {"processes": accelerator.num_processes}
    with ExitStack() as held:

        def prepare() -> None:  # an unfit run folder is refused before anything in it is overwritten
            if aside := held.enter_context(hold_run_folder(run, start_over=config.start_over)):
                say(f"what was in {run} is now in {aside}")

        ask_main_process(accelerator, prepare)
        try:
            resumed = trainer.resume()
        except ArchitectureError:
            raise
        except ValueError as error:
            raise ValueError(f"{error}; {ADVICE}") from error
        if config.start_from and not resumed:
            try:
                trainer.start_from(config.start_from)
            except ArchitectureError as error:
                raise ValueError(f"{error}; --train.start_from none begins from scratch") from error

        def begin() -> None:
            changes = _list_changes(trainer)
            for change in changes:
                say(f"changed since {run} was last trained: {change}")
            if not config.allow_changes:
                refuse_changes(changes, run)
            save_config(settings, run / "config.json")
            if describe:
                say(describe())

        ask_main_process(accelerator, begin)
        finished = trainer.train(announce)
    return _summarise(trainer, finished)


def _list_changes(trainer: Trainer) -> list[Change]:
    """The settings, and at last the data set, that differ from those of the resumed checkpoint."""
    if trainer.resumed_run is None:
        return []
    changes = list_changes(trainer.resumed_run["settings"], trainer.settings)
    before, now = trainer.resumed_run["items"], describe_items(trainer.dataset)
    if not isinstance(before, dict):  # an older checkpoint holds only their number
        before = {"count": before}
    names = {"count": "items of the data set", "digest": "what the items of the data set are, by a digest"}
    changed = [key for key in before if before[key] != now[key]]
    return [*changes, *(Change(names[key], before[key], now[key]) for key in changed[:1])]


def _summarise(trainer: Trainer, finished: bool) -> str:
    steps = trainer.config.steps
    if finished and trainer.step < steps:
        return (
            f"trained {trainer.step} of {steps} steps: the time limit (train.max_minutes "
            f"{trainer.config.max_minutes:g}) is reached and the learning rates are at their end; "
            f"{steps - trainer.step} steps were cut off: {trainer.run}"
        )
    return f"{'trained' if finished else 'stopped'} at step {trainer.step} of {steps}: {trainer.run}"


def _ignore(line: str) -> None:
    del line
