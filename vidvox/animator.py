"""A trained animator that takes files, arrays and tensors."""

from dataclasses import dataclass

import torch

from vidgan.animation.apply import NOTE, animate_film
from vidgan.networks.animator import Animator
from vidvox.clip_inputs import ClipInput, find_source, open_clip
from vidvox.results import Translation


@dataclass(frozen=True)
class PictureAnimator:
    """Animates the figure in a picture with the motion of the figure in a video."""

    network: Animator

    def animate(self, source: ClipInput, driving: ClipInput, *, relative: bool = True) -> Translation:
        """Animate the figure in a picture; the result has as many frames as the driving video and is held in memory.

        Saved files carry a note that they were generated.

        Args:
            source: The picture, or a clip whose first frame is used: a path, an array (time, height, width, channel)
                or a tensor (time, channel, height, width).
            driving: The video that provides the motion, in the same forms.
            relative: Transfer the driver's motion since its first frame; if False, its absolute poses, and with them
                its shape and position.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: A clip cannot be read, or its channels cannot be converted to the model's.
        """
        channels = self.network.shape.channels
        picture, film = (open_clip(each, channels=channels) for each in (source, driving))
        frames = torch.cat(list(animate_film(self.network, picture.read(0, 1), film, relative=relative)))
        others = tuple(path for path in [find_source(source)] if path)
        return Translation(frames, film.rate, film, find_source(driving), others=others, note=NOTE)
