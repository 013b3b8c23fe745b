"""Trained models that take files, arrays and pictures, and return clips and meshes."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import repeat
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL.Image import Image
from torch import Tensor

from gancore.device import select_device
from gancore.files.media import nearest_rate
from vidgan.files.readers import DEFAULT_RATE, VideoReader
from vidgan.generate import generate_clips
from vidgan.networks.animator import Animator
from vidgan.networks.generator import FramePredictor, VideoGenerator
from vidgan.networks.translator import ClipTranslator
from vidgan.networks.translator_pair import TranslatorPair
from vidgan.predict import fit_to_model, read_past_and_future
from vidgan.translation.apply import Part, translate_film
from vidgan.translation.direction import choose_direction
from vidgan.translation.masks import open_mask
from vidvox.animator import PictureAnimator
from vidvox.clip_inputs import ClipInput, convert_frames, convert_plan, find_source, open_clip
from vidvox.kinds import require_kind
from vidvox.results import Clips, Future, ObjectMesh, Translation
from voxgan.files.images import ImageInput, cut_out_object
from voxgan.mesh.config import PREDICTED_THRESHOLD, SurfaceConfig
from voxgan.mesh.surface import extract_surface
from voxgan.networks.generator import VoxelGenerator
from voxgan.networks.image_to_voxels import ImageToVoxels
from voxgan.rendering.vertex_colours import paint_mesh


@dataclass(frozen=True)
class VideoPredictor:
    """Predicts how videos continue, with a different future for every seed."""

    network: FramePredictor

    def predict(
        self,
        clip: ClipInput,
        *,
        steps: int | None = None,
        samples: int = 1,
        seed: int = 0,
        truncation: float | None = None,
        context_frames: int | None = None,
        stride: int = 1,
        size: str | None = None,
        actions: np.ndarray | Tensor | None = None,
    ) -> Future:
        """Predict what follows the last frame of a clip.

        Args:
            clip: A path, an array (time, height, width, channel) or a tensor (time, channel, height, width).
            steps: Frames to predict; if None, as many as the model was trained on.
            samples: Number of different futures.
            seed: Seed of the samples; sample n is the same however many are requested.
            truncation: Bound on the magnitude of the latent's components, for less varied futures; 0 gives the typical
                one, None sets no bound.
            context_frames: Past frames that the model sees; if None, as many as it was trained on.
            stride: Distance in frames of the clip between consecutive frames that the model sees.
            size: Frame size as HEIGHTxWIDTH, or "trained" for the size the model was trained at; if None, the clip's.
            actions: For a model conditioned on actions, an array (steps, components) with one action per step.

        Returns:
            The predicted frames, uint8 (samples, steps, channel, height, width), with the past and the frame rate.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The clip cannot be read, is too short, or has channels that cannot be converted to the model's,
                or actions are missing or do not fit.
        """
        past, rate = self._read_past(clip, context_frames=context_frames, stride=stride, size=size)
        steps = self._trained_steps if steps is None else steps
        plan = convert_plan(actions)
        futures = self.network.predict(past, steps, plan, samples=samples, seed=seed, truncation=truncation)
        return Future(futures, past, rate, find_source(clip))

    def stream(
        self,
        clip: ClipInput,
        *,
        steps: int | None = None,
        samples: int = 1,
        seed: int = 0,
        truncation: float | None = None,
        context_frames: int | None = None,
        stride: int = 1,
        size: str | None = None,
        actions: np.ndarray | Tensor | None = None,
    ) -> Iterator[UInt8[Tensor, "samples channel height width"]]:
        """Predict what follows a clip, and yield each frame of all samples as soon as it is computed.

        Arguments and errors are those of `predict`; the frames are equal up to rounding.
        """
        past, _ = self._read_past(clip, context_frames=context_frames, stride=stride, size=size)
        steps = self._trained_steps if steps is None else steps
        plan = convert_plan(actions)
        return self.network.stream(past, steps, plan, samples=samples, seed=seed, truncation=truncation)

    @property
    def _trained_steps(self) -> int:
        return self.network.shape.clip_frames - self.network.shape.context_frames

    def _read_past(
        self, clip: ClipInput, *, context_frames: int | None, stride: int, size: str | None
    ) -> tuple[UInt8[Tensor, "time channel height width"], Fraction]:
        """Return the past frames as the model sees them, and the frame rate of the future."""
        context_frames = self.network.shape.context_frames if context_frames is None else context_frames
        for name, value in {"context_frames": context_frames, "stride": stride}.items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if isinstance(clip, np.ndarray | Tensor):
            frames, rate = convert_frames(clip), DEFAULT_RATE / stride
            span = (context_frames - 1) * stride + 1
            if len(frames) < span:
                raise ValueError(
                    f"the clip has {len(frames)} frames, too few for {context_frames} past frames at stride {stride}"
                )
            past = frames[len(frames) - span :: stride]
        else:
            past, _, rate = read_past_and_future(
                Path(clip),
                start=None,
                context_frames=context_frames,
                steps=0,
                stride=stride,
                channels=self.network.shape.channels,
            )
        return fit_to_model(past, self.network, size=size), rate


@dataclass(frozen=True)
class VideoTranslator:
    """Restores, enlarges, colours, fills or translates videos and pictures, depending on what it was trained for."""

    network: ClipTranslator | TranslatorPair

    def translate(
        self,
        clip: ClipInput,
        *,
        mask: ClipInput | None = None,
        box: tuple[int, int, int, int] | None = None,
        missing: str = "",
        strength: float = 1.0,
        back: bool = False,
        memory: float = 2.0,
    ) -> Translation:
        """Translate a whole video or picture; the result is held in memory.

        Args:
            clip: A path, an array (time, height, width, channel) or a tensor (time, channel, height, width).
            mask: For a model that fills: a picture, or a video of as many frames, of the clip's size, which is white
                where the clip is to be filled.
            box: A rectangle to fill in every frame: top, left, height and width in pixels.
            missing: Frames to fill completely, as numbers from 0 and ranges, such as "10-14,30".
            strength: Weight of the result in [0, 1]; the remaining weight is the source's, enlarged to its size.
            back: Translate in the opposite direction, from what the model makes to what it takes.
            memory: Gigabytes of memory for the computation, in addition to the program and the result.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The clip cannot be read, its channels or the mask do not fit, or the model was not trained for
                masks or for the opposite direction.
        """
        film, parts = self._start(
            clip, mask=mask, box=box, missing=missing, strength=strength, back=back, memory=memory
        )
        frames = torch.cat([part.target for part in parts])
        return Translation(frames, film.rate, film, find_source(clip))

    def stream(
        self,
        clip: ClipInput,
        *,
        mask: ClipInput | None = None,
        box: tuple[int, int, int, int] | None = None,
        missing: str = "",
        strength: float = 1.0,
        back: bool = False,
        memory: float = 2.0,
    ) -> Iterator[UInt8[Tensor, "channel height width"]]:
        """Translate a video of any length, and yield its frames as soon as they are computed.

        Arguments, errors and frames are those of `translate`.
        """
        _, parts = self._start(clip, mask=mask, box=box, missing=missing, strength=strength, back=back, memory=memory)
        return (frame for part in parts for frame in part.target)

    def _start(
        self,
        clip: ClipInput,
        *,
        mask: ClipInput | None,
        box: tuple[int, int, int, int] | None,
        missing: str,
        strength: float,
        back: bool,
        memory: float,
    ) -> tuple[VideoReader, Iterator[Part]]:
        """Open the inputs, and return the video and an iterator over its translated parts."""
        network = choose_direction(self.network, back=back)
        film = open_clip(clip, channels=network.shape.channels)
        known = None
        if mask is not None or box or missing:
            drawn = None if mask is None else open_clip(mask, channels=1)
            known = open_mask(film, name="the clip", mask=drawn, box=box, missing=missing)
        return film, translate_film(network, film, known=known, strength=strength, gigabytes=memory)


@dataclass(frozen=True)
class ClipGenerator:
    """Generates whole clips from noise."""

    network: VideoGenerator

    def generate(
        self,
        count: int = 1,
        *,
        seed: int = 0,
        label: str | None = None,
        steps: int | None = None,
        truncation: float | None = None,
        interval: float | None = None,
        rate: float | int = 10.0,
    ) -> Clips:
        """Generate clips.

        Args:
            count: Number of clips.
            seed: Seed of the clips; clip n is the same whatever the count.
            label: Name or number of the class; if None, all classes in turn.
            steps: Frames of each clip; if None, as many as the model was trained on.
            truncation: Bound on the magnitude of the latent's components, for cleaner and less varied clips; for a
                style generator, the fraction of each style's distance from the mean style that is kept (psi).
            interval: For a style generator, the time between two frames in frames of the training clips; 1 if None.
            rate: Frames per second of the clips.

        Raises:
            ValueError: The model does not have the class, or the rate is not positive and finite.
        """
        shown_at = nearest_rate(rate)
        clips = generate_clips(
            self.network,
            count=count,
            steps=steps,
            label=label,
            truncation=truncation,
            interval=interval,
            seed=seed,
        )
        return Clips(clips.frames, clips.labels, shown_at)


@dataclass(frozen=True)
class ObjectGenerator:
    """Generates objects from noise."""

    network: VoxelGenerator

    def generate(
        self,
        count: int = 1,
        *,
        seed: int = 0,
        label: str | None = None,
        truncation: float | None = None,
        surface: SurfaceConfig | None = None,
    ) -> list[ObjectMesh]:
        """Generate objects.

        Args:
            count: Number of objects.
            seed: Seed of the noise; object n is the same whatever the count.
            label: Name of the class; if None, none is given to the model.
            truncation: Bound on the magnitude of the noise's components, for cleaner and less varied objects; for a
                style generator, the fraction of each style's distance from the mean style that is kept (psi).
            surface: How a surface is extracted from the voxels, such as `vidvox.SurfaceConfig(threshold=0.3)`; if
                None, at a probability of 0.25.

        Raises:
            ValueError: The model does not have the class, the truncation is negative, or an object is empty.
        """
        occupancies = self.network.sample(count, seed=seed, label=label, truncation=truncation).numpy()
        return [_extract(occupancy, surface) for occupancy in occupancies]


@dataclass(frozen=True)
class ObjectReconstructor:
    """Reconstructs meshes of the objects in pictures, and generates objects from noise."""

    network: ImageToVoxels

    def mesh(
        self,
        images: ImageInput | Sequence[ImageInput],
        *,
        masks: ImageInput | Sequence[ImageInput] | None = None,
        label: str | None = None,
        colours: bool = True,
        surface: SurfaceConfig | None = None,
    ) -> ObjectMesh:
        """Reconstruct a mesh of the one object that all pictures show.

        Args:
            images: A picture or several: paths, Pillow images, or uint8 arrays (height, width, channel).
            masks: A mask for each picture, white where the object is. Without masks or transparency, the object is
                segmented by the colour of the picture's border.
            label: Name of the object's class, for models with classes.
            colours: Colour the mesh from the pictures.
            surface: How a surface is extracted from the voxels, such as `vidvox.SurfaceConfig(threshold=0.3)`; if
                None, at a probability of 0.25.

        Raises:
            ValueError: A picture cannot be read or shows no object, the model does not have the class, or the
                reconstruction is empty.
        """
        pictures = _to_list(images)
        given = None if masks is None else _to_list(masks)
        self.network.check_label(label)
        posterior = self.network.encode(pictures, masks=given)
        occupancy = self.network.decode(posterior, label=label)[0].numpy()
        sources = tuple(source for each in (*pictures, *(given or ())) if (source := find_source(each)))
        result = replace(_extract(occupancy, surface), sources=sources)
        if not colours:
            return result
        pairs = zip(pictures, given or repeat(None, len(pictures)), strict=True)
        views = [cut_out_object(*pair) for pair in pairs]
        return replace(result, mesh=paint_mesh(result.mesh, views, posterior.camera_log_likelihoods(len(views))))

    def generate(
        self,
        count: int = 1,
        *,
        seed: int = 0,
        label: str | None = None,
        truncation: float | None = None,
        surface: SurfaceConfig | None = None,
    ) -> list[ObjectMesh]:
        """Generate objects from noise; see `ObjectGenerator.generate`."""
        generator = ObjectGenerator(self.network.generator)
        return generator.generate(count, seed=seed, label=label, truncation=truncation, surface=surface)


def load_model(
    folder_or_repo: str | os.PathLike[str], *, device: str | None = None
) -> VideoPredictor | VideoTranslator | PictureAnimator | ClipGenerator | ObjectReconstructor | ObjectGenerator:
    """Load a trained model; see `vidvox.load`."""
    place = select_device() if device is None else torch.device(device)
    match require_kind(folder_or_repo):
        case "FramePredictor":
            return VideoPredictor(FramePredictor.from_pretrained(folder_or_repo).to(place))
        case "ClipTranslator":
            return VideoTranslator(ClipTranslator.from_pretrained(folder_or_repo).to(place))
        case "TranslatorPair":
            return VideoTranslator(TranslatorPair.from_pretrained(folder_or_repo).to(place))
        case "Animator":
            return PictureAnimator(Animator.from_pretrained(folder_or_repo).to(place))
        case "VideoGenerator":
            return ClipGenerator(VideoGenerator.from_pretrained(folder_or_repo).to(place))
        case "ImageToVoxels":
            return ObjectReconstructor(ImageToVoxels.from_pretrained(folder_or_repo).to(place))
        case _:
            return ObjectGenerator(VoxelGenerator.from_pretrained(folder_or_repo).to(place))


def _to_list(pictures: ImageInput | Sequence[ImageInput]) -> list[ImageInput]:
    if isinstance(pictures, str | os.PathLike | np.ndarray | Image):
        return [pictures]
    return list(pictures)


def _extract(occupancy: Float[np.ndarray, "x y z"], surface: SurfaceConfig | None) -> ObjectMesh:
    return ObjectMesh(extract_surface(occupancy, surface or SurfaceConfig(threshold=PREDICTED_THRESHOLD)), occupancy)
