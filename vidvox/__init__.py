"""Video prediction and synthesis, and 3-D objects from pictures, with GANs.

    >>> import vidvox
    >>> model = vidvox.load("runs/mine")
    >>> future = model.predict("clip.mp4", steps=10, samples=3, seed=0)
    >>> future.save("future.mp4")

Importing this module is cheap: torch is loaded by `load`.
"""

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vidvox.animator import PictureAnimator
    from vidvox.models import ClipGenerator, ObjectGenerator, ObjectReconstructor, VideoPredictor, VideoTranslator
    from voxgan.mesh.config import SurfaceConfig

__all__ = ["SurfaceConfig", "__version__", "load"]

__version__ = "0.2.0"


def load(
    folder_or_repo: str | os.PathLike[str], *, device: str | None = None
) -> "VideoPredictor | VideoTranslator | PictureAnimator | ClipGenerator | ObjectReconstructor | ObjectGenerator":
    """Load a trained model, ready to use.

    Args:
        folder_or_repo: A run folder (best/ is used if present, else generator/), a folder with a model, or the name of
            one on the Hub: user/name, or user/name@revision for a branch, a tag or a commit. Anything that looks like a
            path is read as one.
        device: The device to compute on, such as "cuda" or "cpu"; if None, the GPU if there is one.

    Returns:
        A `VideoPredictor` (`.predict`), `VideoTranslator` (`.translate`), `PictureAnimator` (`.animate`),
        `ClipGenerator` (`.generate`), `ObjectReconstructor` (`.mesh`, `.generate`) or `ObjectGenerator`
        (`.generate`), depending on the class of the model.

    Raises:
        ValueError: There is no such model, or it cannot be read.
    """
    from vidvox.models import load_model

    return load_model(folder_or_repo, device=device)


def __getattr__(name: str) -> Any:
    if name == "SurfaceConfig":  # imported on demand, so that the command line starts fast
        from voxgan.mesh.config import SurfaceConfig

        return SurfaceConfig
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
