"""Layouts of data sets on disk: which files belong to an object, its class and its split."""

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from gancore.errors import UnreadableError
from gancore.files.reading import as_unreadable, read_json, resolve_below
from gancore.splits import SPLIT_NAMES, split_from_folder, split_from_folders
from voxgan.data.shapenet import existing_file, find_r2n2, find_shapenet
from voxgan.data.sources import (
    Layout,
    Source,
    SourceImage,
    apply_split_file,
    divide_sources,
    log,
    read_text,
    strip_suffix,
)
from voxgan.data.sweethome3d import find_furniture, find_sweethome3d
from voxgan.files.voxels import VOXEL_SUFFIXES, object_keys
from voxgan.mesh.axes import camera_angles
from voxgan.mesh.read import MESH_SUFFIXES

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".avif", ".bmp", ".jfif", ".pgm", ".ppm", ".tif", ".tiff")
"""Endings of pictures of objects."""
UNREAD_SUFFIXES = (
    *(".3ds", ".abc", ".amf", ".blend", ".c4d", ".ctm", ".dxf", ".fbx", ".iges", ".igs", ".ma", ".max", ".mb", ".skp"),
    *(".step", ".stp", ".usd", ".usda", ".usdc", ".usdz", ".vox", ".vrml", ".wrl", ".x3d"),
)
"""Suffixes of unsupported 3-D formats; such files are reported rather than ignored."""
WRAPPER_FOLDERS = {"models", "meshes", "objects", "shapes", "volumetric_data"}
"""Names of folders around class folders, which are not classes themselves."""

MODELNET = re.compile(r"(.*/)?(?P<label>\w+)/(?i:train|test)/(?P=label)_\d+\.off")
MODELNET_VOXELS = re.compile(
    r"(.*/)?(?P<label>\w+)/30/(?P<split>(?i:train|test))/(?P<model>\w+)_(?P<rotation>\d+)\.mat"
)
IKEA = re.compile(r"IKEA_(?P<label>[a-z]+)_")


def find_objects(folder: Path) -> Layout:
    """The objects of a folder or file, ordered by id.

    The known layouts are ShapeNetCore 1 and 2, the data sets of 3D-R2N2 and Occupancy Networks, ModelNet as meshes or
    voxels, Pix3D, the IKEA models, the IKEA data set of 3D-GAN, and catalogues of Sweet Home 3D. Any other folder may
    hold meshes and voxels, with or without class folders, also below folders train, val and test, with pictures beside
    them (<name>.png) or in images/<name>/*.png. A splits.json in the folder lists the objects of each split. A single
    mesh or voxel file is a data set too; if it holds one object, that is in the training split.

    Raises FileNotFoundError if the path does not exist, ValueError if it holds no object.
    """
    if folder.is_file():
        return build_layout("file", find_in_file(folder))
    if not folder.is_dir():
        raise FileNotFoundError(f"no such file or folder: {folder}")
    for name, find in LAYOUTS.items():
        if sources := find(folder):
            sources = [replace(source, root=folder) for source in sorted(sources, key=lambda source: source.id)]
            for path in (folder / "splits.json", folder / "ShapeNet.json"):
                if path.is_file():
                    sources = apply_split_file(sources, path)
                    break
            return build_layout(name, sources)
    raise ValueError(f"no meshes ({' '.join(MESH_SUFFIXES)}) and no voxels ({' '.join(VOXEL_SUFFIXES)}) in {folder}")


def build_layout(name: str, sources: Sequence[Source]) -> Layout:
    """The layout of these objects, in which those with a problem are listed as left out."""
    good, bad = divide_sources(sources)
    return Layout(name, tuple(good), tuple(bad))


def find_in_file(path: Path) -> Sequence[Source]:
    """The objects of one file: a mesh, one or several voxel grids, or a furniture catalogue.

    Raises ValueError if it is none of these.
    """
    suffix = path.suffix.lower()
    if suffix == ".sh3f":
        return find_furniture([path])
    if suffix not in (*MESH_SUFFIXES, *VOXEL_SUFFIXES):
        raise ValueError(
            f"{path} is not a mesh ({' '.join(MESH_SUFFIXES)}), not voxels ({' '.join(VOXEL_SUFFIXES)}), and not a "
            "furniture package (.deb .sh3f); give a folder of such files"
        )
    sources = build_sources(path.parent, PurePosixPath(path.stem), [path])
    return sources if len(sources) > 1 else [replace(sources[0], split="train")]


def find_pix3d(root: Path) -> list[Source]:
    """The models of pix3d.json, with their pictures except truncated or occluded ones (Pix3D, Sun et al. 2018)."""
    if not (root / "pix3d.json").is_file():
        return []
    records = defaultdict(list)
    with as_unreadable(root / "pix3d.json", "a list of Pix3D records"):
        for record in read_json(root / "pix3d.json"):
            records[record["model"]].append(record)
        return [build_pix3d_source(root, each) for each in records.values()]


def build_pix3d_source(root: Path, records: Sequence[dict]) -> Source:
    """The model of these records; its mesh has y up and faces -z, its voxels have z up and face y."""
    first, problem = records[0], ""
    label = first["category"]
    if not isinstance(label, str):
        raise TypeError(f"category {label!r}")
    whole = [record for record in records if not (record.get("truncated") or record.get("occluded"))]
    mesh = occupancy = None
    images: tuple[SourceImage, ...] = ()
    try:
        mesh, occupancy = (existing_file(resolve_below(root, first[name])) for name in ("model", "voxel"))
        images = tuple(build_pix3d_image(root, record) for record in whole)
    except UnreadableError as error:
        problem = str(error)
    if not (mesh or occupancy or problem):
        problem = f"neither {first['model']} nor {first['voxel']} is there"
    return Source(
        id=strip_suffix(first["model"]).removeprefix("model/"),
        label=label,
        mesh=mesh,
        occupancy=occupancy,
        key="voxel",
        images=images,
        up="y",
        front="-z",
        voxel_up="z",
        voxel_front="y",
        problem=problem,
    )


def build_pix3d_image(root: Path, record: dict) -> SourceImage:
    """The picture of a record, with its mask, bounding box and camera angles."""
    azimuth = elevation = None
    if record.get("cam_position"):
        position = np.array(record["cam_position"], float)
        if np.isfinite(position).all():
            azimuth, elevation = camera_angles(position, up="y", front="-z")
    mask, box = record.get("mask"), record.get("bbox")
    left, top, right, bottom = (round(edge) for edge in box) if box else (0, 0, 0, 0)
    return SourceImage(
        resolve_below(root, record["img"]),
        resolve_below(root, mask) if mask else None,
        azimuth,
        elevation,
        (left, top, right, bottom) if box else None,
    )


def find_ikea_3dgan(root: Path) -> list[Source]:
    """The IKEA data set of 3D-GAN: voxels in model/*.mat; line i of list/<class>.txt names the model in <class>/i."""
    lists = sorted((root / "list").glob("*.txt"))
    paths = [path for name in ("model", "models") for path in sorted((root / name).glob("*.mat"))]
    if not lists or not paths:
        return []
    pictures: dict[str, list[SourceImage]] = defaultdict(list)
    labels = {path.stem: match["label"] for path in paths if (match := IKEA.match(path.name))}
    for names in lists:
        numbered = {
            int(path.stem): path for path in list_files(root / names.stem, IMAGE_SUFFIXES) if path.stem.isdecimal()
        }
        for number, name in enumerate(read_text(names).splitlines(), 1):
            labels.setdefault(strip_suffix(name.strip()), names.stem)
            if number in numbered:
                pictures[strip_suffix(name.strip())].append(SourceImage(numbered[number]))
    if pictures.keys().isdisjoint(path.stem for path in paths):
        log.warning("the lists in %s name no model; the pictures are left out", root / "list")
    lost = sorted({name for name in labels if name} - {path.stem for path in paths})
    problem = "a list names it, but it has no voxels"
    return [Source(id=name, label=labels[name], problem=problem) for name in lost] + [
        Source(
            id=path.stem,
            label=labels.get(path.stem, ""),
            occupancy=path,
            key="voxel",
            images=tuple(pictures[path.stem]),
            voxel_up="z",
            voxel_front="y",
        )
        for path in paths
    ]


def find_modelnet_voxels(root: Path) -> list[Source]:
    """Voxels <class>/30/<split>/<model>_<rotation>.mat of 3D ShapeNets (Wu et al. 2015), each in its first rotation."""
    first: dict[tuple[str, str], tuple[int, Source]] = {}
    for path in list_files(root, (".mat",)):
        if match := MODELNET_VOXELS.fullmatch(path.relative_to(root.parent).as_posix()):
            label, rotation = match["label"], int(match["rotation"])
            source = Source(
                id=f"{label}/{match['model']}",
                label=label,
                split=SPLIT_NAMES[match["split"].lower()],
                occupancy=path,
                key="instance",
                voxel_up="z",
            )
            known = first.get((label, match["model"]))
            if known is None or rotation < known[0]:
                first[label, match["model"]] = rotation, source
    return [source for _, source in first.values()]


def find_modelnet(root: Path) -> list[Source]:
    """ModelNet10 and ModelNet40, meshes <class>/<split>/<class>_<number>.off; z up."""
    names = [path.relative_to(root.parent).as_posix() for path in list_files(root, MESH_SUFFIXES)]
    if not names or not all(map(MODELNET.fullmatch, names)):
        return []
    return [
        replace(source, label=source.mesh.stem.rpartition("_")[0], up="z")
        for source in find_plain_folder(root)
        if source.mesh
    ]


def find_ikea(root: Path) -> list[Source]:
    """The IKEA models of Lim et al. 2013, IKEA_<class>_<style>/*.obj."""
    if not any(IKEA.match(path.name) for path in (root, *root.iterdir(), *root.glob("IKEA/*")) if path.is_dir()):
        return []
    labelled = []
    for source in find_plain_folder(root):
        folders = PurePosixPath(root.name, source.id).parts[:-1]
        label = next((match["label"] for folder in folders if (match := IKEA.match(folder))), source.label)
        labelled.append(replace(source, label=label))
    return labelled


def find_plain_folder(root: Path) -> list[Source]:
    """Meshes and voxels in any folders; files that differ only in their suffix belong to one object."""
    files: dict[PurePosixPath, list[Path]] = defaultdict(list)
    for path in list_files(root, (*MESH_SUFFIXES, *VOXEL_SUFFIXES)):
        files[PurePosixPath(path.relative_to(root).with_suffix("").as_posix())].append(path)
    one_name = len(files) > 1 and len({name.name for name in files}) == 1
    by_folder = one_name and all(name.parent.name for name in files)  # <object>/model.obj for every object
    return [
        source
        for name, paths in files.items()
        for source in build_sources(root, name.parent if by_folder else name, paths)
    ]


def find_folder(root: Path) -> list[Source]:
    """Meshes and voxels in any folders; files of unsupported formats and links to folders are listed as problems."""
    sources = find_plain_folder(root)
    known = {path.with_suffix("") for source in sources for path in (source.mesh, source.occupancy) if path}
    others = [
        Source(id=path.relative_to(root).as_posix(), problem=f"files ending in {path.suffix.lower()} are not read")
        for path in list_files(root, UNREAD_SUFFIXES)
        if path.with_suffix("") not in known
    ]
    links = [
        Source(id=path.relative_to(root).as_posix(), problem="links to folders are not followed")
        for path in list_linked_folders(root)
    ]
    return [*sources, *others, *links] if sources else []


def build_sources(root: Path, name: PurePosixPath, paths: Sequence[Path]) -> list[Source]:
    """The object of these files, or several objects if the file holds several voxel grids."""
    meshes, voxels = rank_by_suffix(paths, MESH_SUFFIXES), rank_by_suffix(paths, VOXEL_SUFFIXES)
    classes = [part for part in name.parts[:-1] if not split_from_folder(part) and part not in WRAPPER_FOLDERS]
    special = [path for path in (*meshes[:1], *voxels[:1]) if not path.is_file()]
    source = Source(
        id=name.as_posix(),
        label=classes[0] if classes else "",
        split=split_from_folders(name.parts[:-1]),
        mesh=meshes[0] if meshes else None,
        occupancy=voxels[0] if voxels else None,
        images=tuple(map(SourceImage, find_images(root, name, (meshes or voxels)[0]))),
        problem=f"{special[0].name} is not a regular file" if special else "",
    )
    keys = occupancy_keys(voxels[0]) if voxels and not special else (None,)
    if len(keys) == 1:
        return [replace(source, key=keys[0])]
    return [replace(source, id=f"{name}#{number}", key=key) for number, key in enumerate(keys)]


def rank_by_suffix(paths: Sequence[Path], suffixes: Sequence[str]) -> list[Path]:
    """The files with one of these suffixes, ordered by suffix."""
    fitting = [path for path in paths if path.suffix.lower() in suffixes]
    return sorted(fitting, key=lambda path: suffixes.index(path.suffix.lower()))


def occupancy_keys(path: Path) -> Sequence[str | None]:
    """The key of each voxel grid in the file; None if it needs none."""
    try:
        return [key or None for key in object_keys(path)]
    except ValueError:  # the reason is reported when the object is read
        return [None]


def find_images(root: Path, name: PurePosixPath, path: Path) -> list[Path]:
    """The pictures images/<id>/* or images/<name>/*, else those beside the mesh of the same name.

    Some may be textures of the mesh; those that are used when the mesh is read are left out then.
    """
    for folder in (root / "images" / name, root / "images" / name.name):
        if pictures := list_files(folder, IMAGE_SUFFIXES):
            return pictures
    candidates = (path.with_suffix(each) for suffix in IMAGE_SUFFIXES for each in (suffix, suffix.upper()))
    beside: list[Path] = []
    for picture in filter(Path.is_file, candidates):
        known = any(map(picture.samefile, beside))  # where names are the same in upper and lower case
        if not known and not is_texture(picture, path):
            beside.append(picture)
    return beside


def is_texture(picture: Path, mesh: Path) -> bool:
    """Whether the mesh file, or the material file of the same name, mentions the picture, for example as a bump map."""
    for path in (mesh.with_suffix(".mtl"), mesh):
        if path.suffix.lower() in (".mtl", ".dae", ".gltf") and path.is_file():
            with path.open("rb") as file:
                if os.fsencode(picture.name) in file.read(2**20):
                    return True
    return False


def list_files(root: Path, suffixes: Iterable[str]) -> list[Path]:
    """The files below the root with one of these suffixes, sorted, without hidden ones."""
    suffixes = tuple(suffixes)
    found = (path for _, _, paths in walk_folders(root) for path in paths)
    return sorted(path for path in found if path.suffix.lower() in suffixes)


def list_linked_folders(root: Path) -> list[Path]:
    """The links to folders below the root."""
    return sorted(path for _, folders, _ in walk_folders(root) for path in folders if path.is_symlink())


def walk_folders(root: Path) -> Iterator[tuple[Path, list[Path], list[Path]]]:
    """Each folder below the root with the paths of its folders and files, without hidden ones."""
    for folder, folders, names in os.walk(root, onerror=_report_folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        files = [Path(folder, name) for name in names if not name.startswith(".")]
        yield Path(folder), [Path(folder, name) for name in folders], files


def _report_folder(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        log.warning("left out a folder: %s", error)


LAYOUTS: dict[str, Callable[[Path], Sequence[Source]]] = {
    "sweethome3d": find_sweethome3d,
    "pix3d": find_pix3d,
    "r2n2": find_r2n2,
    "ikea-3dgan": find_ikea_3dgan,
    "shapenet": find_shapenet,
    "modelnet-voxels": find_modelnet_voxels,
    "modelnet": find_modelnet,
    "ikea": find_ikea,
    "folder": find_folder,
}
"""The layouts to try on a folder, from specific to general; the first that finds objects is used."""
