"""What commands read in the campaigns: tiny trained models of both halves, videos, meshes and a data set of boxes."""

from dataclasses import dataclass
from pathlib import Path

import torch
from faults.forking import Commands
from faults.runs import prepare_words, train_words, write_meshes

from vidgan.files.video import write_clip


@dataclass(frozen=True)
class Materials:
    """Folders and files of small inputs; nothing writes to them."""

    folder: Path

    @property
    def videos(self) -> Path:
        """A folder of videos."""
        return self.folder / "videos"

    @property
    def meshes(self) -> Path:
        """A folder of meshes."""
        return self.folder / "meshes"

    @property
    def boxes(self) -> Path:
        """A packed data set of the meshes."""
        return self.folder / "boxes"

    @property
    def predictor(self) -> Path:
        """The run of a predictor of videos."""
        return self.folder / "predictor"

    @property
    def reconstructor(self) -> Path:
        """The run of a network from pictures to objects."""
        return self.folder / "reconstructor"

    @property
    def picture(self) -> Path:
        """A picture of an object."""
        return self.folder / "picture.png"

    def source(self, half: str) -> Path | None:
        """The data of a training."""
        return self.boxes if half == "voxels" else None


def make_materials(commands: Commands, folder: Path) -> Materials:
    """Train, prepare and write all of them in a few seconds."""
    made = Materials(folder)
    write_meshes(made.meshes)
    write_videos(made.videos)
    picture = torch.full((3, 64, 64), 255, dtype=torch.uint8)
    picture[0, 16:48, 20:40] = 40
    picture[1:, 16:48, 20:40] = 90
    write_clip(made.picture, picture[None], rate=1)
    for words in (
        prepare_words(made.meshes, made.boxes),
        train_words("video", made.predictor, steps=2),
        train_words("voxels", made.reconstructor, data=made.boxes, steps=2),
    ):
        ended = commands.run(*words, below=folder)
        assert ended.code == 0, ended.err
    return made


def moving_frames(seed: int, *, frames: int = 14, side: int = 16) -> torch.Tensor:
    """Bright squares that move over dark noise: (time, 3, side, side), uint8."""
    random = torch.Generator().manual_seed(seed)
    clip = torch.randint(0, 60, (frames, 3, side, side), generator=random, dtype=torch.uint8)
    for number in range(frames):
        corner = (number + 3 * seed) % (side - 4)
        clip[number, :, corner : corner + 4, 4:8] = 220
    return clip


def write_videos(folder: Path, count: int = 4) -> Path:
    """Short MP4 files in a folder of their own."""
    for number in range(count):
        write_clip(folder / f"clip{number}.mp4", moving_frames(number), rate=10)
    return folder
