"""A trained animator with plain inputs and outputs."""

from dataclasses import dataclass

import torch

from vidgan.animation.apply import NOTE, animate_film
from vidgan.networks.animator import Animator
from vidvox.clip_inputs import ClipInput, find_source, open_clip
from vidvox.results import Translation


@dataclass(frozen=True)
class PictureAnimator:
    """Moves the figure in a picture as the one in a film moves."""

    network: Animator

    def animate(self, source: ClipInput, driving: ClipInput, *, relative: bool = True) -> Translation:
        """Move the figure in a picture, for as long as the film is; the result is held in memory.

        What is saved of it says in its file that it was generated.

        Args:
            source: The picture, or a clip whose first frame is taken: a path, an array (time, height, width, channel)
                or a tensor (time, channel, height, width).
            driving: The film whose motion is taken, likewise.
            relative: Take over how the driver moves from its first frame on; or else its poses themselves, and with
                them its shape and place.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: A clip cannot be read, or its channels do not fit.
        """
        channels = self.network.shape.channels
        picture, film = (open_clip(each, channels=channels) for each in (source, driving))
        frames = torch.cat(list(animate_film(self.network, picture.read(0, 1), film, relative=relative)))
        others = tuple(path for path in [find_source(source)] if path)
        return Translation(frames, film.rate, film, find_source(driving), others=others, note=NOTE)
