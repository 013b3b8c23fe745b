"""The command `vidvox`: finds the subcommand that was asked for, and imports nothing of the others."""

import sys
from collections.abc import Sequence
from importlib import import_module

import vidvox
from gancore.errors import report_user_errors
from gancore.keys import describe_unknown

COMMANDS = {
    "train video": ("train_video:main", "train on a folder of videos"),
    "train translation": ("train_translation:main", "train on a folder of videos to restore, or on pairs"),
    "train animation": ("train_animation:main", "train on clips of figures that move"),
    "train voxels": ("train_voxels:main", "train on a folder of meshes, or on a prepared data set"),
    "predict": ("predict:main", "predict how a video continues"),
    "restore": ("translate:restore", "take noise, traces of compression, rain or smoke out of a film or picture"),
    "upscale": ("translate:upscale", "enlarge a film or picture"),
    "colourise": ("translate:colourise", "colour a film or picture in grey"),
    "fill": ("translate:fill", "fill what is marked in a film or picture"),
    "translate": ("translate:translate", "make of a film or picture what a model of yours has learned"),
    "rollout": ("rollout:main", "follow a plan of actions in a world model"),
    "animate": ("animate:main", "move the figure in a picture as another moves"),
    "skeletons": ("skeletons:main", "draw poses or keypoints of clips, to translate figures from"),
    "mesh": ("mesh:main", "make a mesh of the object in pictures"),
    "generate": ("generate:main", "generate clips or objects from noise"),
    "degrade": ("degrade:main", "spoil films or pictures by noise, blur, compression, weather or loss"),
    "prepare": ("prepare:main", "prepare a data set of objects from a folder of meshes"),
    "evaluate": ("evaluate:main", "measure a model, or files of another tool, against baselines"),
    "recognise": ("recognise:main", "tell the classes of clips, clean, spoilt and restored"),
    "classify": ("classify:main", "tell what generated samples are worth to a classifier of real ones"),
    "ratings": ("ratings:main", "summarise the answers of people to a rating page"),
    "benchmark": ("benchmark:main", "measure speed and memory on this machine"),
    "recipes": ("recipes:list_all", "list the recipes"),
    "show": ("recipes:show", "print a recipe with its lab note"),
    "doctor": ("doctor:main", "say what is installed, what is missing and what to type"),
    "fetch": ("fetch:main", "download the weights that metrics need"),
    "export": ("export:main", "write a model as graphs for other programs, by ONNX or torch.export"),
    "push": ("push:main", "publish a model on the Hub with a model card"),
}
"""Module and function of every command, and what it does."""

EXAMPLES = """
examples:
  vidvox train video VIDEOS --run runs/mine
  vidvox predict clip.mp4 -m runs/mine -o future.mp4 --samples 3
  vidvox train voxels MESHES --run runs/shapes
  vidvox mesh chair.png -m runs/shapes -o chair.glb --preview chair.mp4
"""


@report_user_errors
def main(argv: Sequence[str] | None = None) -> None:
    """Run the subcommand that `argv` names (by default the words of this process), with the words that follow it.

    A mistake becomes one line on standard error and exit code 2.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help"):
        print(format_help())
        return
    if words[0] == "--version":
        print(f"vidvox {vidvox.__version__}")
        return
    name, rest = split_command(words)
    target, _ = COMMANDS[name]
    module, _, function = target.partition(":")
    getattr(import_module(f"vidvox.commands.{module}"), function)(rest, prog=f"vidvox {name}")


def split_command(words: Sequence[str]) -> tuple[str, list[str]]:
    """Split the words of a command line into the name of the subcommand, of one word or two, and the rest.

    Raises:
        ValueError: There is no such subcommand.
    """
    for length in (2, 1):
        if (name := " ".join(words[:length])) in COMMANDS:
            return name, list(words[length:])
    halves = [name for name in COMMANDS if name.startswith(f"{words[0]} ")]
    if not halves:
        message = describe_unknown("command", words[0], [name.partition(" ")[0] for name in COMMANDS])
        raise ValueError(f"{message} (vidvox --help lists all)")
    if len(words) > 1 and not words[1].startswith("-"):
        raise ValueError(describe_unknown("command", " ".join(words[:2]), halves))
    raise ValueError(f"say what to {words[0]}: {' or '.join(f'vidvox {name}' for name in halves)}")


def format_help() -> str:
    """Compose the overview of all commands."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {summary}" for name, (_, summary) in COMMANDS.items()]
    usage = "usage: vidvox COMMAND [options]\n\nVideo prediction, and 3-D objects from pictures, with GANs."
    more = "`vidvox COMMAND --help` shows the settings of a command, `--help-all` every one of them."
    return "\n".join([usage, "", "commands:", *lines, EXAMPLES.rstrip(), "", more])
