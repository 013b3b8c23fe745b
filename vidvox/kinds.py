"""What each kind of model is for: which half of the project it belongs to, and which command uses it."""

import os

from gancore.model_files import read_model_class
from vidvox.recipes import Half

HALVES: dict[str, Half] = {
    "FramePredictor": "video",
    "VideoGenerator": "video",
    "ClipTranslator": "translation",
    "TranslatorPair": "translation",
    "Animator": "animation",
    "ImageToVoxels": "voxels",
    "VoxelGenerator": "voxels",
}
"""The half of each class of model."""

USES = {
    "FramePredictor": "predicts how a video continues: vidvox predict",
    "VideoGenerator": "generates clips from noise: vidvox generate",
    "ClipTranslator": "makes a clip of a clip: vidvox translate",
    "TranslatorPair": "makes a clip of a clip, and the way back: vidvox translate",
    "Animator": "moves the figure in a picture as another moves: vidvox animate",
    "ImageToVoxels": "makes meshes of pictures: vidvox mesh",
    "VoxelGenerator": "generates objects from noise: vidvox generate",
}
"""What each class does, and the command for it."""


def require_kind(model: str | os.PathLike[str], *classes: str) -> str:
    """Return the name of the class of a model.

    Args:
        model: A run folder, a folder of a model, or the name of one on the Hub.
        classes: The classes that will do; all that there are if none is given.

    Raises:
        ValueError: There is no such model, or it is of another class; the message names the command for it.
    """
    found = read_model_class(model)
    article = "an" if found[0] in "AEIOU" else "a"
    if found not in HALVES:
        raise ValueError(f"{model} holds {article} {found}; vidvox knows {', '.join(HALVES)}")
    if classes and found not in classes:
        raise ValueError(f"{model} holds {article} {found}, not the {' or '.join(classes)} needed; it {USES[found]}")
    return found
