"""Settings of the voxel commands other than training: preparing a data set, making meshes.

Nothing slow is imported here, so that --help and a mistyped flag answer at once.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gancore.evaluation.config import EvaluationConfig, require_at_least
from gancore.files.limits import ReadingLimits, ShapeLimits
from gancore.keys import MAX_INT
from voxgan.mesh.config import PREDICTED_THRESHOLD, Axis, SurfaceConfig, check_size

PROGRAMS = "furniture-programs"
"""Given instead of a folder for furniture that programs build."""

# ----------------------------------------------------------------------------------------------------- prepare

OccupancyKind = Literal["binary", "fractional"]
MAX_FRACTIONAL_SIDE = 128
"""Largest side of a fractional grid, which takes 1 GB of memory to compute."""


@dataclass(frozen=True, kw_only=True)
class PrepareConfig(ShapeLimits):
    """Prepare a data set: voxels and views of every object in a folder."""

    folder: Path
    """Folder of meshes, voxels and pictures, with or without class folders, or a single file; also the Debian package
    sweethome3d-furniture or a folder of its catalogues (.sh3f), or furniture-programs for furniture built by
    programs."""

    out: Path
    """Folder for the data set; its manifest.csv lists every object, and why an object was left out."""

    objects: int | None = None
    """Number of pieces of furniture to build, for furniture-programs only; a larger number adds to the same pieces."""

    side: int = 32
    """Voxels along each side of the unit cube."""

    occupancy: OccupancyKind = "binary"
    """binary: voxels are filled or empty; fractional: the filled fraction of each voxel, which places surfaces between
    voxels, compressed object by object."""

    views: int = 24
    """Pictures per object: rendered ones, or at most this many of the object's own pictures if it has any."""

    view_size: int = 128
    """Width and height of a view in pixels."""

    quality: int | None = None
    """WebP quality of the views from 0 to 100; lossless if null."""

    compress: bool = False
    """Compress binary voxels: much smaller on disk, but read into memory as a whole."""

    up: Axis | None = None
    """Up axis of meshes and voxels whose files do not state one; if null, that of their layout, or z for STL and y for
    all others."""

    front: Axis | None = None
    """Axis that the front of meshes and voxels faces; if null, that of their layout, or z."""

    copies: int = 0
    """Augmented copies of each training object in other proportions, with newly rendered pictures. Objects with
    pictures of their own are not copied. The data set becomes fractional, since stretched voxels are partly filled."""

    proportions: float = 0.25
    """Strength of that augmentation: the largest absolute logarithm of the stretch factors along each axis."""

    duplicate_iou: float = 0.95
    """Objects whose voxels overlap with an IoU above this are near-duplicates and go to the same split; 1 turns it off.
    Splits that the data set itself declares are kept."""

    workers: int | None = None
    """Number of processes; one per processor core if null. With 1, the main process works itself, and a library that
    hangs cannot be interrupted."""

    max_minutes: float = 10.0
    """Time limit per object; objects that take longer are left out."""

    cache: Path | None = None
    """Folder for prepared objects, which are reused by the next run; OUT.cache if null."""

    seed: int = 0
    """Seed of the random cameras and lights."""

    def __post_init__(self) -> None:
        for name, lowest, highest in (("side", 4, 256), ("views", 0, 1000), ("view_size", 8, 2048)):
            if not lowest <= getattr(self, name) <= highest:
                raise ValueError(f"{name} must lie between {lowest} and {highest}, got {getattr(self, name)}")
        if self.occupancy == "fractional" and self.side > MAX_FRACTIONAL_SIDE:
            raise ValueError(f"side must be at most {MAX_FRACTIONAL_SIDE} for fractional occupancy, got {self.side}")
        if self.fractional and self.compress:
            raise ValueError(
                "compress is for binary occupancy; fractional voxels, also those of copies, are always compressed"
            )
        if self.workers is not None and not 1 <= self.workers <= 1024:
            raise ValueError(f"workers must lie between 1 and 1024, got {self.workers}")
        if not 0 < self.max_minutes <= 1e6:
            raise ValueError(f"max_minutes must be above 0, got {self.max_minutes}")
        if not 0 <= self.copies <= 1000:
            raise ValueError(f"copies must lie between 0 and 1000, got {self.copies}")
        if not 0 < self.proportions <= 1:
            raise ValueError(f"proportions must lie in (0, 1], got {self.proportions}")
        if self.quality is not None and not 0 <= self.quality <= 100:
            raise ValueError(f"quality must lie between 0 and 100, got {self.quality}")
        if not 0 < self.duplicate_iou <= 1:
            raise ValueError(f"duplicate_iou must lie in (0, 1], got {self.duplicate_iou}")
        if self.builds_furniture:
            if self.objects is None:
                raise ValueError(f"objects is required: the number of {PROGRAMS} to build")
            if not 1 <= self.objects <= 10_000_000:
                raise ValueError(f"objects must lie in [1, 10,000,000], got {self.objects}")
            return
        if self.objects is not None:
            raise ValueError(f"objects is for {PROGRAMS} only; a folder is prepared as a whole")
        if self.out.resolve().is_relative_to(self.folder.resolve()):
            raise ValueError(f"out must not lie inside the folder of objects, got {self.out}")

    @property
    def fractional(self) -> bool:
        """Whether the data set stores filled fractions of voxels."""
        return self.occupancy == "fractional" or self.copies > 0

    @property
    def builds_furniture(self) -> bool:
        """Whether the objects are built by programs, rather than read."""
        return str(self.folder) == PROGRAMS


# -------------------------------------------------------------------------------------------------------- mesh


@dataclass(frozen=True, kw_only=True)
class ExportConfig(SurfaceConfig, ReadingLimits):
    """Make meshes of the objects in pictures, or without pictures of objects generated from noise."""

    images: tuple[Path, ...] = ()
    """Pictures of an object. In pictures without transparency the object is segmented by the colour of the border, so
    the background should be plain; otherwise give --masks."""

    model: str = "vidvox/furniture-64"
    """Run folder (runs/NAME), folder of a model, or name of a model on the Hub. The default, for furniture, comes with
    the package."""

    threshold: float = PREDICTED_THRESHOLD
    """Probability at which the surface lies, between 0 and 1; a lower value keeps thin, less certain parts."""

    out: Path = Path("object.glb")
    """Output file: .glb, .obj or .ply (y up, metres), .stl or .3mf (z up, millimetres); several objects are
    numbered."""

    grouping: Literal["together", "each"] = "together"
    """together: all pictures show the same object; each: every picture shows an object of its own."""

    masks: tuple[Path, ...] = ()
    """A mask for each picture, white where the object is."""

    posterior_samples: int | None = None
    """Number of objects to sample from the posterior given the pictures; if null, one at the posterior's mean."""

    class_: str | None = None
    """Class of the object, for models trained with classes; unconditional if null."""

    count: int = 1
    """Number of objects to generate from noise."""

    dataset: Path | None = None
    """New folder for a labelled data set of voxels with a manifest of its origin, written instead of meshes; each class
    has a folder."""

    shard_size: int | None = None
    """Write the data set as WebDataset .tar files with this many samples each; class folders of .npy if not given."""

    licence: str | None = None
    """Licence of the model's training data, for the manifest of a data set; "not stated" if not given."""

    truncation: float | None = None
    """Bound on the magnitude of the noise's components, for cleaner and less varied objects; no bound if null. For a
    style generator, the fraction of each style's distance from the mean style that is kept: 1 all of it, 0 none."""

    latents: tuple[str, ...] = ()
    """Seeds, pictures, or mesh or voxel files (which are projected) to take the latents from. The `count` objects
    interpolate from each latent to the next."""

    weights: tuple[float, ...] = ()
    """Weights of the latents, whose weighted sum gives one object; 1,-1,1 subtracts the second from the first and adds
    the third."""

    projection_steps: int = 100
    """Optimisation steps for the latent of a mesh or voxel file."""

    seed: int = 0
    """Seed of the noise; object n is the same whatever the count."""

    size_mm: float | None = None
    """Longest side of the object in millimetres; if null, the unit cube is one metre wide."""

    skip_colours: bool = False
    """Do not colour the mesh from the pictures."""

    preview: Path | None = None
    """File for a turntable animation, or with several --latents for the interpolation: .mp4, .gif, or .png for a
    contact sheet."""

    preview_size: int = 256
    """Width and height of the preview in pixels."""

    cpu: bool = False
    """Use the CPU even if there is a GPU."""

    overwrite: bool = False
    """Replace outputs that exist."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, lowest in {"posterior_samples": 1, "count": 1, "preview_size": 1, "projection_steps": 0}.items():
            if getattr(self, name) is not None and not getattr(self, name) >= lowest:
                raise ValueError(f"{name} must be at least {lowest}, got {getattr(self, name)}")
        if self.shard_size is not None and self.shard_size < 1:
            raise ValueError(f"shard_size must be at least 1, got {self.shard_size}")
        if not self.dataset and (self.shard_size or self.licence):
            raise ValueError("shard_size and licence are for a data set: give dataset, or leave them out")
        if self.dataset and (self.images or self.latents or self.preview):
            raise ValueError("dataset holds voxels of objects from noise: leave out pictures, latents and preview")
        check_size(self.size_mm)
        if self.truncation is not None and not 0 <= self.truncation < float("inf"):
            raise ValueError(f"truncation must be at least 0 and finite, got {self.truncation}")
        if self.images and (self.count > 1 or self.latents or self.truncation is not None):
            raise ValueError("count, latents and truncation are for objects from noise; leave the pictures out")
        if not self.images and (self.posterior_samples or self.masks):
            raise ValueError(
                "posterior_samples and masks are for objects in pictures; use count to generate several from noise"
            )
        if self.masks and len(self.masks) != len(self.images):
            raise ValueError(f"masks: {len(self.images)} pictures need as many masks, got {len(self.masks)}")
        if self.truncation is not None and self.latents and len(self.latent_files) == len(self.latents):
            raise ValueError("truncation is for noise: none of the latents is a seed")
        if len(self.latents) > 1 and not self.weights and self.count < len(self.latents):
            raise ValueError(f"count must be at least {len(self.latents)}, the number of latents, got {self.count}")
        if seeds := [given for given in self.latents if given.isdecimal() and int(given) > MAX_INT]:
            raise ValueError(f"latents: {seeds[0]} is too large for a seed, of which the largest is {MAX_INT}")
        if self.weights and len(self.weights) != len(self.latents):
            raise ValueError(f"weights: {len(self.latents)} latents need as many weights, got {len(self.weights)}")
        if self.count > 1 and (self.weights or len(self.latents) == 1):
            raise ValueError("count: one latent, or a weighted sum of several, gives one object")

    @property
    def interpolates(self) -> bool:
        """Whether the objects are steps of an interpolation between latents."""
        return len(self.latents) > 1 and not self.weights

    @property
    def latent_files(self) -> list[Path]:
        """The files among the sources of latents."""
        return [Path(given) for given in self.latents if not given.isdecimal()]

    @property
    def total(self) -> int:
        """Number of objects to export."""
        groups = len(self.images) if self.grouping == "each" else 1
        return groups * (self.posterior_samples or 1) if self.images else self.count


def list_outputs(config: ExportConfig) -> list[Path]:
    """The files that an export writes: a mesh of each object, and previews of them."""
    numbers, previews = range(1, config.total + 1), [config.preview] if config.preview else []
    if previews and not config.interpolates:
        previews = [numbered_path(previews[0], number, config.total) for number in numbers]
    return [*(numbered_path(config.out, number, config.total) for number in numbers), *previews]


def numbered_path(path: Path, number: int, total: int) -> Path:
    """The path with the object's number, counted from 1 and padded with zeros; as it is if there is one object."""
    return path if total == 1 else path.with_stem(f"{path.stem}-{number:0{len(str(total))}d}")


# ---------------------------------------------------------------------------------------------------- evaluate


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig(EvaluationConfig):
    """Measure a voxel model, or the objects of another tool, on objects held out from training."""

    predictions: Path | None = None
    """Folder of another tool's meshes or voxels, measured instead of a model; each file is named like its object in the
    data set."""

    up: Axis | None = None
    """Up axis of predictions whose files do not state one; if null, z for STL and y for all others."""

    front: Axis | None = None
    """Axis that the front of the predictions faces; if not given, the axis that the shortest rotation upright turns to
    z."""

    normalise: Literal["as_is", "box"] = "as_is"
    """as_is: predicted meshes lie in the unit cube around the origin; box: centre each and scale its longest side to
    1."""

    on_missing: Literal["stop", "empty"] = "stop"
    """If an object has no readable prediction, stop with an error, or score it as empty."""

    data: str = "furniture"
    """A data set made by `vidvox prepare`; "furniture" is the one that comes with the package."""

    classes: tuple[str, ...] = ()
    """Use only test and training objects of these classes; all classes if empty."""

    views: tuple[int, ...] = (1, 3, 5)
    """Numbers of pictures to reconstruct from."""

    view_draws: int = 4
    """Number of random draws of pictures of each object, over which its scores are averaged."""

    class_conditional: bool = False
    """Give a model with classes the class of each object to reconstruct."""

    surfaces: bool = False
    """Also compare surfaces (Chamfer distance, F-score, normals, mesh quality) and renders of all reconstructions as a
    set, and compute average precision; takes much longer."""

    generated_objects: int = 500
    """Number of objects to generate from noise and compare with as many real ones; 0 for none."""

    renders_per_object: int = 2
    """Renders per object for comparing generated, or with `surfaces` reconstructed, objects with real ones by an image
    network; 0 for none."""

    probe_run: Path | None = None
    """Run folder (runs/NAME) whose discriminator is probed by a linear SVM on its features; none if not given."""

    batch: int = 8
    """Objects per batch, which bounds the memory needed; the scores do not depend on it."""

    baseline_model: str | None = None
    """Another model, whose objects the rating page shows instead of the real ones."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if bool(self.model) == bool(self.predictions):
            raise ValueError("give either --model or --predictions, a folder of objects to measure")
        if self.unpaired and not (self.predictions and self.generated_objects):
            raise ValueError("unpaired is for predictions, and needs generated_objects above 0")
        if not self.views or min(self.views) < 1:
            raise ValueError(f"views must be one or more numbers of at least 1, got {self.views}")
        require_at_least(self, view_draws=1, generated_objects=0, renders_per_object=0)
        if self.baseline_model and not (self.rating_page and self.model):
            raise ValueError("baseline_model is for the rating page of a model: give model and rating_page")
