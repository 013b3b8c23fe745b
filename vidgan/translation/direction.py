"""The translator of a model: the one it has, or of two the one from source to target or the one back."""

from dataclasses import replace

from gancore.hub import load_either
from vidgan.networks.translator import ClipTranslator
from vidgan.networks.translator_pair import TranslatorPair


def choose_direction(model: ClipTranslator | TranslatorPair, *, back: bool = False) -> ClipTranslator:
    """The translator of a model from source to target, or the other way. Raises ValueError if it has none for that."""
    if isinstance(model, TranslatorPair):
        if not back:
            return model.to_target
        if model.to_source is not None:
            # what its sources are, others were spoilt to be
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
