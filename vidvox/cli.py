"""The command `vidvox`: finds the subcommand and imports only its module."""

import sys
from collections.abc import Sequence
from importlib import import_module

import vidvox
from gancore.errors import report_user_errors
from gancore.keys import describe_unknown

COMMANDS = {
    "train video": ("train_video:main", "train on a folder of videos"),
    "train translation": ("train_translation:main", "train on a folder of videos to restore, or on pairs"),
    "train animation": ("train_animation:main", "train on clips of moving figures"),
    "train voxels": ("train_voxels:main", "train on a folder of meshes, or on a prepared data set"),
    "predict": ("predict:main", "predict how a video continues"),
    "restore": ("translate:restore", "remove noise, compression artefacts, rain or smoke from a video or picture"),
    "upscale": ("translate:upscale", "enlarge a video or picture"),
    "colourise": ("translate:colourise", "colour a grey video or picture"),
    "fill": ("translate:fill", "fill marked regions or missing frames of a video or picture"),
    "translate": ("translate:translate", "translate a video or picture with a model of your own"),
    "rollout": ("rollout:main", "roll a world model out over a sequence of actions"),
    "animate": ("animate:main", "animate the figure in a picture with the motion of a video"),
    "skeletons": ("skeletons:main", "draw skeletons of clips, to train a translation to figures from"),
    "mesh": ("mesh:main", "reconstruct a mesh of the object in pictures"),
    "generate": ("generate:main", "generate clips or objects from noise"),
    "degrade": ("degrade:main", "degrade videos or pictures by noise, blur, compression, weather or loss"),
    "prepare": ("prepare:main", "prepare a data set of objects from a folder of meshes"),
    "evaluate": ("evaluate:main", "measure a model, or files of another tool, against baselines"),
    "recognise": ("recognise:main", "classify clean, degraded and restored clips"),
    "classify": ("classify:main", "train a classifier on generated samples and test it on real ones"),
    "ratings": ("ratings:main", "summarise the answers of raters to a rating page"),
    "benchmark": ("benchmark:main", "measure speed and memory on this machine"),
    "recipes": ("recipes:list_all", "list the recipes"),
    "show": ("recipes:show", "print a recipe with its lab note"),
    "doctor": ("doctor:main", "report what is installed, what is missing and how to install it"),
    "fetch": ("fetch:main", "download the weights that metrics need"),
    "export": ("export:main", "export a model to ONNX or torch.export"),
    "push": ("push:main", "publish a model on the Hub with a model card"),
}
"""Module and function of every subcommand, and its one-line summary."""

EXAMPLES = """
examples:
  vidvox train video VIDEOS --run runs/mine
  vidvox predict clip.mp4 -m runs/mine -o future.mp4 --samples 3
  vidvox train voxels MESHES --run runs/shapes
  vidvox mesh chair.png -m runs/shapes -o chair.glb --preview chair.mp4
"""


@report_user_errors
def main(argv: Sequence[str] | None = None) -> None:
    """Run the subcommand named by `argv` (`sys.argv[1:]` if None) with the arguments that follow it.

    A user's mistake becomes one line on standard error and exit code 2.
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
    """Split a command line into the name of the subcommand, one word or two, and its arguments.

    Raises:
        ValueError: There is no such subcommand.
    """
    for length in (2, 1):
        if (name := " ".join(words[:length])) in COMMANDS:
            return name, list(words[length:])
    two_words = [name for name in COMMANDS if name.startswith(f"{words[0]} ")]
    if not two_words:
        message = describe_unknown("command", words[0], [name.partition(" ")[0] for name in COMMANDS])
        raise ValueError(f"{message} (vidvox --help lists all)")
    if len(words) > 1 and not words[1].startswith("-"):
        raise ValueError(describe_unknown("command", " ".join(words[:2]), two_words))
    raise ValueError(f"say what to {words[0]}: {' or '.join(f'vidvox {name}' for name in two_words)}")


def format_help() -> str:
    """Format the overview of all commands."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {summary}" for name, (_, summary) in COMMANDS.items()]
    usage = "usage: vidvox COMMAND [options]\n\nVideo prediction, and 3-D objects from pictures, with GANs."
    more = "`vidvox COMMAND --help` shows the main settings of a command, `--help-all` all of them."
    return "\n".join([usage, "", "commands:", *lines, EXAMPLES.rstrip(), "", more])
