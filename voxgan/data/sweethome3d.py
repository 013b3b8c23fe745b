"""The furniture of Sweet Home 3D, as the Debian package sweethome3d-furniture 1.8 holds it.

Its catalogues (*.sh3f) are zips of OBJ models and of one list of their names, sizes, turns and creators.
"""

import io
import re
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import trimesh
from jaxtyping import Float

CATALOGUE_FILE = "PluginFurnitureCatalog.properties"
LICENCES = {
    "blendswap-cc-0": "CC0-1.0",
    "blendswap-cc-by": "CC-BY-3.0",
    "katorlegaz": "CC-BY-3.0-US",
    "reallusion": "CC-BY-3.0-US",
    "scopia": "CC-BY-3.0",
}

# What a model shows, by the words of its name; the first rule that fits decides.
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

# Kept apart for a final measurement: neither trained on nor tuned on.
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


@dataclass(frozen=True, kw_only=True)
class FurnitureModel:
    """One model of a catalogue."""

    id: str
    """Name of its catalogue and of its file, such as scopia/armchair2."""
    name: str
    category: str
    creator: str
    catalogue: Path
    """The .sh3f file it lies in."""
    model: str
    """Path of the OBJ file in there."""
    rotation: tuple[float, ...]
    """The rotation that stands it upright, nine numbers row by row."""
    size_cm: tuple[float, float, float]
    """Width (x), height (y) and depth (z) in centimetres once it stands upright."""

    @property
    def label(self) -> str:
        return classify_model(self.name, category=self.category)

    @property
    def licence(self) -> str:
        return LICENCES.get(self.id.partition("/")[0], "")

    def content_key(self) -> bytes:
        """What tells this model from a changed one: the checksums of its files, its turn and its size."""
        with zipfile.ZipFile(self.catalogue) as archive:
            checksums = [(entry.filename, entry.CRC) for entry in self._entries(archive)]
        return repr((sorted(checksums), self.rotation, self.size_cm, FRONT_ANGLES.get(self.id))).encode()

    def unpack(self, folder: Path) -> Path:
        """The OBJ file, put below the folder together with its materials and textures."""
        with zipfile.ZipFile(self.catalogue) as archive:
            for entry in self._entries(archive):
                archive.extract(entry, folder)
        return folder / self.model

    def _entries(self, archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
        around = str(PurePosixPath(self.model).parent) + "/"
        return [entry for entry in archive.infolist() if entry.filename.startswith(around)]

    def upright(self, mesh: trimesh.Trimesh) -> trimesh.Trimesh:
        """The mesh turned upright with its front to +z, as wide, high and deep as the catalogue says."""
        mesh = mesh.copy()
        mesh.apply_transform(affine_matrix(np.reshape(self.rotation, (3, 3))))
        extents = np.where(mesh.extents > 0, mesh.extents, 1.0)
        mesh.apply_transform(affine_matrix(np.diag(np.asarray(self.size_cm) / extents)))
        mesh.apply_transform(
            trimesh.transformations.rotation_matrix(np.radians(FRONT_ANGLES.get(self.id, 0)), (0, 1, 0))
        )
        return mesh


# Degrees by which models that look another way than +z are turned about the upward axis.
FRONT_ANGLES = {"blendswap-cc-0/forkLift": 90, "blendswap-cc-0/motorbike": 270, "scopia/saloon_lamp": 90}


def find_furniture(catalogues: list[Path]) -> list[FurnitureModel]:
    """Every model of the catalogues that is not reserved, in the order of their names."""
    found = [item for path in catalogues for item in read_catalogue(path) if item.id not in RESERVED]
    return sorted(found, key=lambda item: item.id)


def read_catalogue(path: Path) -> list[FurnitureModel]:
    """The models that a .sh3f file lists. Raises ValueError where it is none."""
    try:
        with zipfile.ZipFile(path) as archive:
            text = archive.read(CATALOGUE_FILE).decode("latin-1")
    except (zipfile.BadZipFile, KeyError) as error:
        raise ValueError(f"{path} is no furniture catalogue: {error}") from error
    entries: dict[str, dict[str, str]] = {}
    for key, number, value in re.findall(r"^(\w+)#(\d+)[ \t]*=[ \t]*(.*?)[ \t\r]*$", text, re.MULTILINE):
        entries.setdefault(number, {})[key] = value
    return [parse_entry(path, entry) for entry in entries.values() if "model" in entry]


def parse_entry(catalogue: Path, entry: dict[str, str]) -> FurnitureModel:
    model = PurePosixPath(entry["model"].lstrip("/"))
    width, depth, height = (float(entry[key]) for key in ("width", "depth", "height"))
    return FurnitureModel(
        id=f"{model.parts[0]}/{model.stem}",
        name=entry["name"],
        category=entry.get("category", ""),
        creator=entry.get("creator", ""),
        catalogue=catalogue,
        model=str(model),
        rotation=tuple(map(float, entry.get("modelRotation", "1 0 0 0 1 0 0 0 1").split())),
        size_cm=(width, height, depth),
    )


def classify_model(name: str, *, category: str = "") -> str:
    """Chair, table, sofa, lamp, cabinet, bed, person, door, plant, vehicle or other."""
    name = name.lower()
    if category == "Vehicles":
        return "other" if re.search("stroller|skateboard", name) else "vehicle"
    if category == "Lights" or name.endswith("lantern"):
        return "other" if re.search("candle|flashlight|fluorescent", name) else "lamp"
    for label, words in CLASS_RULES:
        if re.search(rf"\b({words})", name):
            return label
    return "vehicle" if name in ("motorbike", "car model") else "other"


def unpack_package(package: Path, folder: Path) -> list[Path]:
    """The catalogues of the Debian package, put into the folder. Raises ValueError where it holds none."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(fileobj=io.BytesIO(read_data_archive(package)), mode="r:*") as archive:
            for entry in archive:
                if entry.name.endswith(".sh3f") and entry.isfile():
                    entry.name = PurePosixPath(entry.name).name
                    archive.extract(entry, folder, filter="data")
    except (tarfile.TarError, EOFError) as error:
        raise ValueError(f"{package} is no Debian package that can be read: {error}") from error
    found = sorted(folder.glob("*.sh3f"))
    if not found:
        raise ValueError(f"{package} holds no furniture catalogue (.sh3f)")
    return found


def read_data_archive(package: Path) -> bytes:
    """The data.tar of a Debian package, which is an `ar` archive of three files."""
    with package.open("rb") as file:
        if file.read(8) != b"!<arch>\n":
            raise ValueError(f"{package} is no Debian package")
        while (header := file.read(60)).endswith(b"`\n") and header[48:58].strip().isdigit():
            size = min(int(header[48:58]), package.stat().st_size)
            if header.startswith(b"data.tar"):
                return file.read(size)
            file.seek(size + size % 2, io.SEEK_CUR)
    raise ValueError(f"{package} is a Debian package without data")


def affine_matrix(matrix: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "4 4"]:
    transform = np.eye(4)
    transform[:3, :3] = matrix
    return transform
