"""Videos made of pictures: one a frame in a folder or a zip, the pages of one picture, or side by side in a strip."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from itertools import groupby
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import UInt8
from torch import Tensor

from gancore.errors import UnreadableError
from gancore.files.limits import VideoLimits
from gancore.files.pictures import ORIENTATION, list_pages
from gancore.files.reading import as_unreadable
from vidgan.files.archives import folder_of, open_zip, read_member
from vidgan.files.page_times import place_pages, time_pages
from vidgan.files.pictures import has_pages, open_picture, picture_to_rgb, read_picture
from vidgan.files.readers import (
    DEFAULT_LIMITS,
    DEFAULT_RATE,
    IMAGE_SUFFIXES,
    RGBImage,
    check_window,
    reading_frames,
    sort_naturally,
    stack_images,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ImageSequence:
    """Frames as single images in a folder or a zip, in natural order (frame2 before frame10).

    Read as RGB, upright; transparent images are composited on black.
    """

    path: str
    names: tuple[str, ...]
    is_zip: bool
    limits: VideoLimits = DEFAULT_LIMITS

    channels = 3
    rate = DEFAULT_RATE

    @property
    def frames(self) -> int:
        return len(self.names)

    def read(self, start: int, count: int, *, stride: int = 1) -> UInt8[Tensor, "time channel height width"]:
        check_window(self.path, self.frames, start, count, stride)
        wanted = self.names[start : start + count * stride : stride]
        with reading_frames(self.path, "a video of pictures"):
            if not self.is_zip:
                files = [Path(self.path, name) for name in wanted]
                return stack_images([read_picture(file, file, self.limits) for file in files], self.path, self.limits)
            with open_zip(self.path, self.limits) as archive:
                images = []
                for name in wanted:
                    content = BytesIO(read_member(archive, name, self.path, self.limits))
                    images.append(read_picture(content, f"{name} in {self.path}", self.limits))
                return stack_images(images, self.path, self.limits)


@dataclass(frozen=True)
class ImagePages:
    """The pages of a TIFF, or of an animated PNG or WebP; read as RGB, upright, on black."""

    path: str
    pages: tuple[int, ...]
    """The page that is shown in each frame."""
    rate: Fraction = DEFAULT_RATE
    limits: VideoLimits = DEFAULT_LIMITS

    channels = 3

    @property
    def frames(self) -> int:
        return len(self.pages)

    def read(self, start: int, count: int, *, stride: int = 1) -> UInt8[Tensor, "time channel height width"]:
        check_window(self.path, self.frames, start, count, stride)
        images: list[RGBImage] = []
        with reading_frames(self.path, "a picture"), open_picture(self.path, self.path, self.limits) as image:
            for page, held in groupby(self.pages[start : start + count * stride : stride]):
                image.seek(page)
                self.limits.check_pixels(image.height, image.width, self.path)
                images += [picture_to_rgb(image, self.path)] * len(list(held))
        return stack_images(images, self.path, self.limits)


@dataclass(frozen=True)
class ImageStrip:
    """Square frames side by side in one image; read as RGB, upright, composited on black where transparent."""

    path: str
    frames: int
    limits: VideoLimits = DEFAULT_LIMITS

    channels = 3
    rate = DEFAULT_RATE

    def read(self, start: int, count: int, *, stride: int = 1) -> UInt8[Tensor, "time channel height width"]:
        check_window(self.path, self.frames, start, count, stride)
        with reading_frames(self.path, "a picture"):
            pixels = read_picture(self.path, self.path, self.limits)
            if pixels.shape[1] != self.frames * len(pixels):
                raise UnreadableError(f"{self.path} is no longer a strip of {self.frames} square frames")
            frames = np.split(pixels, self.frames, axis=1)[start : start + count * stride : stride]
            return stack_images(frames, self.path, self.limits)


def open_image_sequence(
    path: str, members: list[str] | None = None, *, limits: VideoLimits = DEFAULT_LIMITS
) -> ImageSequence:
    """Opens the images of a folder, or these members of a zip, as one video.

    Raises UnreadableError if there are no images, or too many.
    """
    names = members
    if names is None:
        with as_unreadable(path, "a folder of pictures"):
            names = [entry.name for entry in Path(path).iterdir() if is_image(entry.name)]
    if not names:
        raise UnreadableError(f"{path} holds no images ({' '.join(IMAGE_SUFFIXES)})")
    limits.check_frames(len(names), path)
    return ImageSequence(path, tuple(sort_naturally(names)), members is not None, limits)


def open_image_file(path: str, *, limits: VideoLimits = DEFAULT_LIMITS) -> ImageSequence | ImagePages:
    """Opens the pages of one picture as a video. Raises UnreadableError if it cannot be read."""
    with open_picture(path, path, limits) as image:
        pages = list_pages(image)
        limits.check_frames(len(pages), path)
        if len(pages) == 1:
            return ImageSequence(str(Path(path).parent), (Path(path).name,), False, limits)
        timing, stamps = time_pages(image, pages, path)
        limits.check_frames(timing.frames, path)
        if not timing.timed:
            log.warning("%s: a page held for %.6g seconds is not believed; pages are counted", path, timing.pause)
        return ImagePages(path, place_pages(pages, stamps, timing), timing.rate, limits)


def open_image_strip(path: str, *, limits: VideoLimits = DEFAULT_LIMITS) -> ImageStrip:
    """Opens a strip by its image's header. Raises UnreadableError unless the width is a multiple of the height."""
    with open_picture(path, path, limits) as image:
        width, height = image.size
        if image.getexif().get(ORIENTATION, 1) > 4:  # it lies on its side
            width, height = height, width
    if width % height:
        raise UnreadableError(
            f"{path} is not a strip of square frames: its width {width} is not a multiple of its height {height}"
        )
    return ImageStrip(path, width // height, limits)


def is_image(name: str) -> bool:
    """Whether the file is a picture by its ending, and not hidden."""
    path = PurePosixPath(name)
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def group_by_folder(members: Iterable[str]) -> dict[str, list[str]]:
    """The pictures among the members of a zip, by the folder around them, "." at its root."""
    folders: dict[str, list[str]] = {}
    for name in members:
        if is_image(name):
            folders.setdefault(folder_of(name), []).append(name)
    return folders


def are_videos(folder: Path, names: Iterable[str], limits: VideoLimits) -> bool:
    """Whether each picture of a folder is a video of its own, as stacks are: the first one has several pages."""
    first = next(iter(sort_naturally(names)), None)
    stacks = (".tif", ".tiff", ".png", ".webp")
    return first is not None and first.lower().endswith(stacks) and has_pages(folder / first, limits)
