"""Commands that several halves have: which of them is meant, by its name or by the model."""

from collections.abc import Sequence
from typing import get_args

from vidvox.kinds import HALVES, require_kind
from vidvox.recipes import Half


def choose_half(
    argv: Sequence[str], *, prog: str, summary: str, classes: Sequence[str] = (), default: Half | None = None
) -> tuple[Half, list[str]]:
    """Return the half that a command line is about, and its words without the name of the half.

    The first word names it, such as `video` or `voxels`, or else the model does: the first word, or that after -m or
    --model. Without either, --help prints what the command does and exits.

    Args:
        argv: The words after the command.
        prog: The command, for messages and help.
        summary: What the command does, for the help.
        classes: The classes of models that it takes; all if none is given.
        default: The half that is meant if neither is given, for a command with a model of its own.

    Raises:
        ValueError: Neither is given and there is no default, the command is not for that half, or there is no such
            model, or it is of another class.
    """
    words, halves = list(argv), list(dict.fromkeys(HALVES[each] for each in classes or HALVES))
    if words and words[0] in get_args(Half):
        if words[0] not in halves:
            raise ValueError(f"{prog} is for {' and '.join(halves)}, not for {words[0]}")
        return words[0], words[1:]
    model = _find_model(words)
    if model:
        return HALVES[require_kind(model, *classes)], words
    if {"-h", "--help", "--help-all"} & set(words):
        first = f"{prog} [MODEL] [options]" if default else f"{prog} MODEL [options]"
        print(f"usage: {first}\n       {prog} {' | '.join(halves)} [options]\n\n{summary}\n")
        print(f"{' and '.join(f'`{prog} {each} --help`' for each in halves)} show the settings of each.")
        raise SystemExit(0)
    if default:
        return default, words
    named = " or ".join(f"{prog} {each}" for each in halves)
    raise ValueError(f"--model is required, or the half of the project: {named}")


def _find_model(words: Sequence[str]) -> str | None:
    for number, word in enumerate(words):
        if word in ("-m", "--model"):
            return words[number + 1] if number + 1 < len(words) else None
        if word.startswith("--model="):
            return word.partition("=")[2]
    return words[0] if words and not words[0].startswith("-") else None
