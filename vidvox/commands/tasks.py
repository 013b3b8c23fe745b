"""Commands that serve several tasks: which task is meant, by its name or by the class of the model."""

from collections.abc import Sequence
from typing import get_args

from vidvox.kinds import TASKS, require_kind
from vidvox.recipes import Task


def choose_task(
    argv: Sequence[str], *, prog: str, summary: str, classes: Sequence[str] = (), default: Task | None = None
) -> tuple[Task, list[str]]:
    """Return the task of a command line, and its arguments without the name of the task.

    The task is the first argument, such as `video` or `voxels`, or follows from the class of the model, which is the
    first argument or the value of -m or --model. Without either, --help prints an overview and exits.

    Args:
        argv: The arguments after the command.
        prog: The command, for messages and help.
        summary: What the command does, for the help.
        classes: The classes of models that the command accepts; all if none is given.
        default: The task if neither task nor model is given; None makes one of them required.

    Raises:
        ValueError: Neither task nor model is given and there is no default, the command does not serve the task, or
            the model does not exist or is of another class.
    """
    words, tasks = list(argv), list(dict.fromkeys(TASKS[each] for each in classes or TASKS))
    if words and words[0] in get_args(Task):
        if words[0] not in tasks:
            raise ValueError(f"{prog} is for {' and '.join(tasks)}, not for {words[0]}")
        return words[0], words[1:]
    model = _find_model(words)
    if model:
        return TASKS[require_kind(model, *classes)], words
    if {"-h", "--help", "--help-all"} & set(words):
        first = f"{prog} [MODEL] [options]" if default else f"{prog} MODEL [options]"
        print(f"usage: {first}\n       {prog} {' | '.join(tasks)} [options]\n\n{summary}\n")
        print("settings:", *(f"  {prog} {each} --help" for each in tasks), sep="\n")
        raise SystemExit(0)
    if default:
        return default, words
    named = " or ".join(f"{prog} {each}" for each in tasks)
    raise ValueError(f"--model or a task is required: {named}")


def _find_model(words: Sequence[str]) -> str | None:
    for number, word in enumerate(words):
        if word in ("-m", "--model"):
            return words[number + 1] if number + 1 < len(words) else None
        if word.startswith("--model="):
            return word.partition("=")[2]
    return words[0] if words and not words[0].startswith("-") else None
