"""Loading the model that restores clips before they are predicted from or classified."""

import torch

from gancore.hub import load_either
from vidgan.networks.translator import ClipTranslator
from vidgan.networks.translator_pair import TranslatorPair

Restorer = ClipTranslator | TranslatorPair


def open_restorer(folder_or_repo: str, *, channels: int, device: torch.device) -> Restorer:
    """Open a model from clip to clip that keeps the size of frames and needs no mask.

    Raises ValueError if there is no such model, it is of another kind, or of other channels than the clips.
    """
    model = load_either(folder_or_repo, ClipTranslator, TranslatorPair).to(device)
    shape = model.shape
    if shape.scale != 1:
        raise ValueError(f"restorer: {folder_or_repo} enlarges frames {shape.scale} times")
    if shape.masked:
        raise ValueError(f"restorer: {folder_or_repo} fills in what a mask marks, and there is none here")
    if shape.channels != channels:
        raise ValueError(f"restorer: {folder_or_repo} was trained on {shape.channels} channels, not {channels}")
    return model
