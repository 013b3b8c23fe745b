"""Choosing the translator of a model by direction, from source to target or back."""

from dataclasses import replace

from gancore.hub import load_either
from vidgan.networks.translator import ClipTranslator
from vidgan.networks.translator_pair import TranslatorPair


def choose_direction(model: ClipTranslator | TranslatorPair, *, back: bool = False) -> ClipTranslator:
    """The translator from source to target, or with `back` the other one. Raises ValueError if there is none."""
    if isinstance(model, TranslatorPair):
        if not back:
            return model.to_target
        if model.to_source is not None:
            # the degradations describe the sources of the other direction
            model.to_source.shape = replace(model.to_source.shape, degradations=())
            return model.to_source
    if back:
        raise ValueError("this model was trained to translate one way: there is no way back")
    assert isinstance(model, ClipTranslator)
    return model


def open_translator(folder_or_repo: str, *, back: bool = False) -> ClipTranslator:
    """Loads a translator, in eval mode on the CPU; that from target to source if `back`.

    Raises ValueError if there is no such model, it is of another kind, or has no way back.
    """
    return choose_direction(load_either(folder_or_repo, ClipTranslator, TranslatorPair), back=back)
