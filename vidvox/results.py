"""What models return: clips and meshes that can be saved, and are displayed in notebooks."""

from base64 import b64encode
from dataclasses import dataclass
from fractions import Fraction
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import trimesh
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from gancore.files.media import MEDIA_SUFFIXES
from gancore.files.outputs import check_outputs
from vidgan.files.readers import VideoReader
from vidgan.files.sound import open_sound
from vidgan.files.writers import open_clip
from vidgan.generate import GeneratedClips, write_samples
from vidgan.predict import Prediction, write_prediction
from voxgan.export import write_preview, write_turntable
from voxgan.mesh.write import save_mesh
from voxgan.rendering.raycast import render_turntable

NOTEBOOK_SIDE, NOTEBOOK_FRAMES = 160, 24
"""Pixels a side and frames of a turntable in a notebook: small, since it is rendered on the CPU."""


@dataclass(frozen=True, repr=False)
class Future:
    """Predicted frames of a video, of one or several samples, and the frames that they were predicted from."""

    frames: UInt8[Tensor, "samples time channel height width"]
    """The predicted frames, in [0, 255]."""
    past: UInt8[Tensor, "past channel height width"]
    """The frames that the model saw."""
    rate: Fraction
    """Frames per second."""
    source: Path | None = None
    """The file or folder that the past was read from; None if it came as an array."""

    def save(self, path: str | Path, *, labels: bool = True) -> Path:
        """Write the samples side by side in the format of the suffix, as `vidvox predict` does.

        An existing file is replaced, unless the past was read from it; a folder of frames only if this method wrote it.

        Args:
            path: .mp4 or .gif; .png, with a row of frames for each sample; .npy; without a suffix a folder of frames.
            labels: In .mp4, .gif and .png, write past and future below labels and frame numbers; if False, only the
                predicted frames.

        Returns:
            The path.

        Raises:
            ValueError: There is no such format, the past was read from this path, or the file cannot be written.
        """
        check_outputs([Path(path)], inputs=[self.source], overwrite=True)
        write_prediction(Prediction(self.past, self.frames, None, self.rate), path, labels=labels)
        return Path(path)

    def __repr__(self) -> str:
        samples, steps, _, height, width = self.frames.shape
        which = "1 sample" if samples == 1 else f"{samples} samples"
        return f"<Future: {which} of {steps} frames of {height}x{width}, after {len(self.past)} past frames>"

    def _repr_html_(self) -> str:
        with TemporaryDirectory() as folder:
            return _format_video(self.save(Path(folder, "future.mp4")), caption=repr(self)[1:-1])


@dataclass(frozen=True, repr=False)
class Translation:
    """A translated video or picture: restored, enlarged, coloured, filled, translated or animated."""

    frames: UInt8[Tensor, "time channel height width"]
    """The frames, in [0, 255]."""
    rate: Fraction
    """Frames per second."""
    film: VideoReader
    """The source video, whose sound is written to an MP4."""
    source: Path | None = None
    """The file or folder of the source; None if it was an array."""
    others: tuple[Path, ...] = ()
    """Further input files."""
    note: str | None = None
    """A note to store in every saved file; formats other than MP4, PNG and folders of frames are then refused."""

    def save(self, path: str | Path) -> Path:
        """Write the frames in the format of the suffix; an MP4 gets the sound of the source.

        An existing file is replaced, unless it is an input; a folder of frames only if this method wrote it.

        Args:
            path: .mp4, .gif, .npy, .png (a picture, or a strip of frames); without a suffix a folder of frames.

        Returns:
            The path.

        Raises:
            ValueError: There is no such format, an input was read from this path, or the file cannot be written.
        """
        path = Path(path)
        check_outputs([path], inputs=[self.source, *self.others], overwrite=True)
        plays_sound = path.suffix.lower() == ".mp4"
        with (
            open_sound(self.film if plays_sound else None) as sound,
            open_clip(path, frames=len(self.frames), rate=self.rate, sound=sound, comment=self.note) as write,
        ):
            write(self.frames)
        return path

    def __repr__(self) -> str:
        count, _, height, width = self.frames.shape
        return f"<Translation: {count} {'frame' if count == 1 else 'frames'} of {height}x{width}>"

    def _repr_html_(self) -> str:
        with TemporaryDirectory() as folder:
            return _format_video(self.save(Path(folder, "result.mp4")), caption=repr(self)[1:-1])


@dataclass(frozen=True, repr=False)
class Clips:
    """Clips generated from noise."""

    frames: UInt8[Tensor, "clips time channel height width"]
    """The frames, in [0, 255]."""
    labels: tuple[str, ...]
    """The class of each clip, or "sample 1", "sample 2", ... without classes."""
    rate: Fraction
    """Frames per second."""

    def save(self, path: str | Path, *, labels: bool = True) -> Path:
        """Write the clips in a nearly square grid, in the format of the suffix; see `Future.save`."""
        write_samples(GeneratedClips(self.frames, self.labels), path, rate=self.rate, labels=labels)
        return Path(path)

    def __repr__(self) -> str:
        count, steps, _, height, width = self.frames.shape
        return f"<Clips: {count} of {steps} frames of {height}x{width}>"

    def _repr_html_(self) -> str:
        with TemporaryDirectory() as folder:
            return _format_video(self.save(Path(folder, "clips.mp4")), caption=repr(self)[1:-1])


@dataclass(frozen=True, repr=False)
class ObjectMesh:
    """A closed mesh in the unit cube around the origin, y up, front to +z."""

    mesh: trimesh.Trimesh
    """Vertices, faces and colours."""
    occupancy: Float[np.ndarray, "x y z"]
    """The occupancy probabilities in [0, 1] whose surface the mesh is."""
    sources: tuple[Path, ...] = ()
    """The files of pictures and masks that it was reconstructed from; none for arrays and for objects from noise."""

    @property
    def vertices(self) -> Float[np.ndarray, "vertices 3"]:
        """Coordinates in [-0.5, 0.5]."""
        return np.asarray(self.mesh.vertices)

    @property
    def faces(self) -> Int[np.ndarray, "faces 3"]:
        """The vertices of each triangle, counter-clockwise seen from outside."""
        return np.asarray(self.mesh.faces)

    def save(self, path: str | Path, *, size_mm: float | int | None = None) -> Path:
        """Write the mesh, or a turntable of it, in the format of the suffix.

        An existing file is replaced, unless it is one of the pictures.

        Args:
            path: .glb, .obj or .ply (y up, metres), .stl or .3mf (z up, millimetres); .mp4, .gif or .png show the
                object turning.
            size_mm: Longest side of the object in millimetres; if None, the unit cube is one metre wide.

        Returns:
            The path.

        Raises:
            ValueError: There is no such format, the path is that of a picture, or the file cannot be written.
        """
        check_outputs([Path(path)], inputs=self.sources, overwrite=True)
        if Path(path).suffix.lower() in MEDIA_SUFFIXES:
            write_turntable(path, self.mesh)
        else:
            save_mesh(self.mesh, path, size_mm=None if size_mm is None else float(size_mm))
        return Path(path)

    def __repr__(self) -> str:
        width, height, depth = self.mesh.extents
        size = f"{width:.2f} x {height:.2f} x {depth:.2f} (width, height, depth)"
        return f"<ObjectMesh: {len(self.vertices)} vertices, {len(self.faces)} faces, {size}>"

    def _repr_html_(self) -> str:
        with TemporaryDirectory() as folder:
            path = Path(folder, "object.mp4")
            write_preview(path, render_turntable(self.mesh, side=NOTEBOOK_SIDE, frames=NOTEBOOK_FRAMES), rate=8)
            return _format_video(path, caption=repr(self)[1:-1])


def _format_video(path: Path, *, caption: str) -> str:
    """Format an HTML figure that plays an MP4, embedded as a data URI."""
    content = b64encode(path.read_bytes()).decode("ascii")
    style = "min-width: 20em; image-rendering: pixelated"  # frames may be as small as 32 pixels
    source = f"data:video/mp4;base64,{content}"
    video = f'<video src="{source}" style="{style}" autoplay loop muted controls playsinline></video>'
    return f"<figure>{video}<figcaption>{escape(caption)}</figcaption></figure>"
