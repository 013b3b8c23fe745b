"""A training in its run folder, which is locked, and resumed with the settings that it was begun with."""

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
"""What to do with a run folder that cannot be gone on with."""


def train_run(
    trainer: Trainer,
    settings: Any,
    announce: Callable[[str], None] | None = None,
    describe: Callable[[], str] | None = None,
) -> str:
    """Trains, or resumes a training, with the settings saved as config.json; returns a line that says how far it came.

    While it lasts, no other process can train in the run folder. Settings that differ from those of the checkpoint are
    announced. `describe` composes what is announced first, once the run folder is known to fit. See `Trainer.train` for
    the rest.

    Raises:
        ValueError: The folder is in use or no run folder, all its checkpoints are damaged, or the settings or the data
            set differ in what the resumed weights depend on and `train.allow_changes` is not given.
    """
    accelerator, run, config = trainer.accelerator, trainer.run, trainer.config
    say = announce or _ignore
    trainer.settings = to_dict(settings) | {"processes": accelerator.num_processes}
    with ExitStack() as held:

        def prepare() -> None:  # a run that does not fit is refused before anything of it is overwritten
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
    return _sum_up(trainer, finished)


def _list_changes(trainer: Trainer) -> list[Change]:
    if trainer.earlier is None:
        return []
    changes = list_changes(trainer.earlier["settings"], trainer.settings)
    before, now = trainer.earlier["items"], describe_items(trainer.dataset)
    if not isinstance(before, dict):  # an older checkpoint holds their number alone
        before = {"count": before}
    names = {"count": "items of the data set", "digest": "what the items of the data set are, by a digest"}
    changed = [key for key in before if before[key] != now[key]]
    return [*changes, *(Change(names[key], before[key], now[key]) for key in changed[:1])]


def _sum_up(trainer: Trainer, finished: bool) -> str:
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
