"""What each class of model is for: the task it is trained on, and the command that uses it."""

import os

from gancore.model_files import read_model_class
from vidvox.recipes import Task

TASKS: dict[str, Task] = {
    "FramePredictor": "video",
    "VideoGenerator": "video",
    "ClipTranslator": "translation",
    "TranslatorPair": "translation",
    "Animator": "animation",
    "ImageToVoxels": "voxels",
    "VoxelGenerator": "voxels",
}
"""The task of each class of model."""

USES = {
    "FramePredictor": "predicts how a video continues: vidvox predict",
    "VideoGenerator": "generates clips from noise: vidvox generate",
    "ClipTranslator": "translates clips and pictures: vidvox translate",
    "TranslatorPair": "translates clips and pictures in both directions: vidvox translate",
    "Animator": "animates the figure in a picture with the motion of a video: vidvox animate",
    "ImageToVoxels": "reconstructs meshes from pictures: vidvox mesh",
    "VoxelGenerator": "generates objects from noise: vidvox generate",
}
"""What each class of model does, and the command that uses it."""


def require_kind(model: str | os.PathLike[str], *classes: str) -> str:
    """Return the class name of a model.

    Args:
        model: A run folder, a folder of a model, or the name of one on the Hub.
        classes: The accepted class names; all of `TASKS` if none is given.

    Raises:
        ValueError: There is no such model, or it is of another class; the message names the command for it.
    """
    found = read_model_class(model)
    article = "an" if found[0] in "AEIOU" else "a"
    if found not in TASKS:
        raise ValueError(f"{model} holds {article} {found}; vidvox knows {', '.join(TASKS)}")
    if classes and found not in classes:
        raise ValueError(f"{model} holds {article} {found}, not the {' or '.join(classes)} needed; it {USES[found]}")
    return found
