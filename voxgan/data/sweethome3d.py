"""The furniture of Sweet Home 3D, as distributed in the Debian package sweethome3d-furniture 1.8.

Its catalogues (*.sh3f) are zip files of OBJ models and a list of their names, sizes, rotations and creators.
"""

import hashlib
import io
import math
import re
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
import trimesh
from jaxtyping import Float

from gancore.errors import UnreadableError
from gancore.files.limits import ReadingLimits, ShapeLimits
from gancore.files.reading import as_unreadable, require_regular_file, resolve_below
from voxgan.data.sources import Source
from voxgan.mesh.config import Axis
from voxgan.mesh.read import LoadedMesh, load_mesh
from voxgan.mesh.voxelise import normalise_mesh

CATALOGUE_FILE = "PluginFurnitureCatalog.properties"
MAX_LIST_BYTES = 2**26
"""Maximum size of a catalogue's list of models."""
LICENCES = {
    "blendswap-cc-0": "CC0-1.0",
    "blendswap-cc-by": "CC-BY-3.0",
    "katorlegaz": "CC-BY-3.0-US",
    "reallusion": "CC-BY-3.0-US",
    "scopia": "CC-BY-3.0",
}

CLASS_RULES = (
    ("other", r"tennis|football|fan|seesaw|swing|abdominal|living room$|washing|island"),
    ("person", r"(fe)?male|boy|girl"),
    ("cabinet", r"cabinet|bookcase|shelves|wardrobe|cupboard|dresser|bedside table|locker|drawers|chest$|tv stand"),
    ("sofa", "day bed"),
    ("bed", r"bed|crib|futon$|opened convertible"),
    ("door", r"(screen|exterior|elevator|garage|glass|double)? ?door\b|window(?! blind)"),
    ("sofa", r"sofa|couch|bench|bank"),
    ("chair", r"chair|armchair|stool|seat$|pool lounge"),
    ("table", r"tables?\b|desk|workbench"),
    (
        "plant",
        r"plant|tree|palm|tulips|lily|flowers?|bamboo|yucca|spathiphyllum|cactus|orchids|ficus|hedge|bush|acacia",
    ),
    ("plant", r"pine|beech|cypress|maple|poplar|blossom"),
)
"""Pairs of a class and a pattern for words in the names of its models; the first rule that matches is used."""

RESERVED = frozenset(
    f"{catalogue}/{stem}"
    for catalogue, stems in {
        "blendswap-cc-0": "armchair couch2 deckChair sofa technicalTable2 thonet winchesterArmchair",
        "blendswap-cc-by": "cafe_set_tonon_chair childChair couch3 ella_chair_f juniorBed kitchenChair simpleDesk table"
        " tableTennisBat table_tennis",
        "katorlegaz": "cafe-table classic-lamppost futon-couch office-chair",
        "scopia": "armchair1 bar_table black_table burlap_sofa clear_sofa convertible-sofa-BZ-closed desk_lamp1 farola1"
        " glass_table_office hospital-bed kids_desk_table leather_sofa little_lamp1 little_lamp3 living_lamp"
        " mezzanine-bed rattanSofa",
    }.items()
    for stem in stems.split()
)
"""Models reserved for a final evaluation, excluded from training and tuning."""

FRONT_ANGLES = {"blendswap-cc-0/forkLift": 90, "blendswap-cc-0/motorbike": 270, "scopia/saloon_lamp": 90}
"""Rotation in degrees about the vertical axis of models that do not face +z."""


@dataclass(frozen=True, kw_only=True)
class FurnitureModel(Source):
    """A model of a catalogue; its id is scopia/armchair2 for the file armchair2.obj of the catalogue scopia."""

    catalogue: Path
    """The .sh3f file."""
    model: str
    """Path of the OBJ file inside the catalogue."""
    rotation: tuple[float, ...]
    """The rotation matrix that turns the model upright, nine numbers row by row."""
    size_cm: tuple[float, float, float]
    """Width (x), height (y) and depth (z) of the upright model in centimetres."""

    def load_mesh(
        self, *, up: Axis | None = None, front: Axis | None = None, limits: ShapeLimits = ShapeLimits()
    ) -> LoadedMesh:
        """The mesh, normalised to the unit cube with y up and the front to +z; the catalogue overrides `up` and
        `front`.

        Raises UnreadableError if the mesh cannot be read or exceeds a limit.
        """
        del up, front
        with tempfile.TemporaryDirectory() as folder:
            try:
                loaded = load_mesh(self.unpack(Path(folder), limits=limits), limits=limits)
                return replace(loaded, mesh=normalise_mesh(self.stand_upright(loaded.mesh)))
            except ValueError as error:  # without the path of the temporary folder
                raise UnreadableError(str(error).replace(f"{folder}/", "")) from error

    def content_digest(self) -> bytes:
        """A 16-byte digest of the checksums of the model's files and of its rotation, size and front."""
        with as_unreadable(self.catalogue, "a furniture catalogue"), zipfile.ZipFile(self.catalogue) as archive:
            checksums = [(entry.filename, entry.CRC) for entry in self._entries(archive)]
        content = repr((sorted(checksums), self.rotation, self.size_cm, FRONT_ANGLES.get(self.id))).encode()
        return hashlib.blake2b(content, digest_size=16).digest()

    def own_files(self) -> tuple[Path, ...]:
        """Empty: the files are in the catalogue, and covered by `content_digest`."""
        return ()

    def files_behind(self, loaded: LoadedMesh | None) -> tuple[Path, ...]:
        """Empty, as `own_files`."""
        del loaded
        return ()

    def unpack(self, folder: Path, *, limits: ShapeLimits = ShapeLimits()) -> Path:
        """Extracts the OBJ file with its materials and textures into the folder, and returns its path.

        Raises UnreadableError if they are damaged, exceed a limit, or would be extracted outside of the folder.
        """
        with as_unreadable(self.catalogue, "a furniture catalogue"), zipfile.ZipFile(self.catalogue) as archive:
            entries = self._entries(archive)
            limits.check_bytes(sum(entry.file_size for entry in entries), self.model)
            for entry in entries:
                archive.extract(entry, folder)
            return resolve_below(folder, self.model)

    def _entries(self, archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
        folder = str(PurePosixPath(self.model).parent) + "/"
        return [entry for entry in archive.infolist() if entry.filename.startswith(folder)]

    def stand_upright(self, mesh: trimesh.Trimesh) -> trimesh.Trimesh:
        """The mesh turned upright with its front to +z, scaled to the catalogue's width, height and depth in cm."""
        mesh = mesh.copy()
        mesh.apply_transform(affine_matrix(np.reshape(self.rotation, (3, 3))))
        extents = np.where(mesh.extents > 0, mesh.extents, 1.0)
        mesh.apply_transform(affine_matrix(np.diag(np.asarray(self.size_cm) / extents)))
        angle = np.radians(FRONT_ANGLES.get(self.id, 0))
        mesh.apply_transform(trimesh.transformations.rotation_matrix(angle, (0, 1, 0)))
        return mesh


def find_sweethome3d(root: Path) -> list[Source]:
    """The models of the catalogues (.sh3f) in a folder; none if it has no catalogue."""
    return find_furniture(sorted(root.glob("*.sh3f")))


def find_furniture(catalogues: Sequence[Path]) -> list[Source]:
    """The models of the catalogues, sorted by id, without the reserved ones; unreadable ones get a problem."""
    models: list[Source] = []
    for path in catalogues:
        try:
            models += read_catalogue(path)
        except ValueError as error:
            models.append(Source(id=path.name, problem=str(error).replace(f"{path.parent}/", "")))
    return sorted((model for model in models if model.id not in RESERVED), key=lambda model: model.id)


def read_catalogue(path: Path, *, limits: ReadingLimits = ReadingLimits()) -> list[Source]:
    """The models that a .sh3f file lists; those with an invalid entry get a problem.

    Raises FileNotFoundError, or UnreadableError if it is not a furniture catalogue.
    """
    require_regular_file(path)
    try:
        with as_unreadable(path, "a zip"), zipfile.ZipFile(path) as archive:
            limits.check_members(len(archive.infolist()), path)
            if archive.getinfo(CATALOGUE_FILE).file_size > MAX_LIST_BYTES:
                raise ValueError(f"its list is longer than the {MAX_LIST_BYTES:,} bytes that are read")
            text = archive.read(CATALOGUE_FILE).decode("latin-1")
    except UnreadableError as error:
        raise UnreadableError(f"{path} is not a furniture catalogue: {error}") from error
    entries: dict[str, dict[str, str]] = {}
    for key, number, value in re.findall(r"^(\w+)#(\d+)[ \t]*=[ \t]*(.*?)[ \t\r]*$", text, re.MULTILINE):
        entries.setdefault(number, {})[key] = value
    return [parse_entry(path, entry) for entry in entries.values() if "model" in entry]


def parse_entry(catalogue: Path, entry: Mapping[str, str]) -> Source:
    """The model that an entry of a catalogue describes; it gets a problem if the entry is invalid."""
    try:
        model = PurePosixPath(entry["model"].lstrip("/"))
        width, depth, height = (parse_number(entry[key]) for key in ("width", "depth", "height"))
        rotation = tuple(map(parse_number, entry.get("modelRotation", "1 0 0 0 1 0 0 0 1").split()))
        if len(rotation) != 9 or min(width, depth, height) <= 0 or not model.name:
            raise ValueError("it needs a path, a positive size and nine numbers of rotation")
    except (KeyError, ValueError) as error:
        reason = f"its entry in {catalogue.name} is invalid: {error}"
        return Source(id=f"{catalogue.stem}/{entry['model']}", problem=reason)
    return FurnitureModel(
        id=f"{model.parts[0]}/{model.stem}",
        label=classify_model(entry.get("name", ""), category=entry.get("category", "")),
        creator=entry.get("creator", ""),
        licence=LICENCES.get(model.parts[0], ""),
        catalogue=catalogue,
        model=str(model),
        rotation=rotation,
        size_cm=(width, height, depth),
    )


def parse_number(text: str) -> float:
    """Parse a finite number. Raises ValueError if the text is not one."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a finite number")
    return number


def classify_model(name: str, *, category: str = "") -> str:
    """The class: chair, table, sofa, lamp, cabinet, bed, person, door, plant, vehicle or other."""
    name = name.lower()
    if category == "Vehicles":
        return "other" if re.search("stroller|skateboard", name) else "vehicle"
    if category == "Lights" or name.endswith("lantern"):
        return "other" if re.search("candle|flashlight|fluorescent", name) else "lamp"
    for label, words in CLASS_RULES:
        if re.search(rf"\b({words})", name):
            return label
    return "vehicle" if name in ("motorbike", "car model") else "other"


def unpack_package(package: Path, folder: Path, *, limits: ReadingLimits = ReadingLimits()) -> list[Path]:
    """Extracts the catalogues of the Debian package into the folder, and returns their paths.

    Raises UnreadableError if the file is not a Debian package with catalogues, or exceeds a limit.
    """
    require_regular_file(package)
    folder.mkdir(parents=True, exist_ok=True)
    with (
        as_unreadable(package, "a Debian package"),
        tarfile.open(fileobj=io.BytesIO(read_data_archive(package)), mode="r:*") as archive,
    ):
        size = 0
        for count, entry in enumerate(archive, 1):
            size += entry.size
            limits.check_members(count, package)
            limits.check_bytes(size, package)
            if entry.name.endswith(".sh3f") and entry.isfile():
                catalogue = folder / PurePosixPath(entry.name).name  # wherever the package would have it
                if catalogue.exists():
                    raise ValueError(f"it holds two catalogues named {catalogue.name}")
                content = archive.extractfile(entry)
                assert content is not None  # as of any file
                with content, catalogue.open("wb") as file:
                    shutil.copyfileobj(content, file)
    catalogues = sorted(folder.glob("*.sh3f"))
    if not catalogues:
        raise UnreadableError(f"{package} holds no furniture catalogue (.sh3f)")
    return catalogues


def read_data_archive(package: Path) -> bytes:
    """The data.tar in a Debian package, which is an `ar` archive of three files. Raises ValueError if there is none."""
    with package.open("rb") as file:
        if file.read(8) != b"!<arch>\n":
            raise ValueError(f"{package} is not a Debian package")
        while (header := file.read(60)).endswith(b"`\n") and header[48:58].strip().isdigit():
            size = min(int(header[48:58]), package.stat().st_size)
            if header.startswith(b"data.tar"):
                return file.read(size)
            file.seek(size + size % 2, io.SEEK_CUR)
    raise ValueError(f"{package} is a Debian package without data")


def affine_matrix(matrix: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "4 4"]:
    """The linear map as a homogeneous transform."""
    transform = np.eye(4)
    transform[:3, :3] = matrix
    return transform
