"""Reads 3MF files: what is to be built, with parts in several files, components and units."""

import posixpath
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import trimesh
from lxml import etree

from voxgan.mesh.formats.companions import Companions
from voxgan.mesh.formats.markup import child, children, local, number, parse_xml
from voxgan.mesh.formats.parts import MeshScene, check_indices, make_part
from voxgan.mesh.formats.text import parse_floats, parse_integers
from voxgan.mesh.materials import WARM_GREY
from voxgan.mesh.write_3mf import CORE, MATERIAL, MODEL_TYPE

PRODUCTION = "http://schemas.microsoft.com/3dmanufacturing/production/2015/06"
KNOWN_EXTENSIONS = {
    CORE,
    PRODUCTION,
    MATERIAL,
    "http://schemas.microsoft.com/3dmanufacturing/2015/02/trianglesets",
    "http://www.w3.org/XML/1998/namespace",
}
"""Namespaces of extensions whose geometry is read, or that do not touch the geometry."""
UNREAD_GEOMETRY = {
    "beamlattice": "a beam lattice",
    "booleanshape": "a boolean of shapes",
    "displacementmesh": "a displacement mesh",
    "levelset": "a level set",
}
UNREAD_COLOURS = ("texture2dgroup", "compositematerials", "multiproperties")
"""Groups of the materials extension that are not read; what they paint is a warm grey."""
METRES = {"micron": 1e-6, "millimeter": 1e-3, "centimeter": 1e-2, "inch": 0.0254, "foot": 0.3048, "meter": 1.0}
MAX_DEPTH = 64
"""Components nested more deeply are refused."""


def read_3mf(path: Path, companions: Companions) -> MeshScene:
    """Return the items of the build of a 3MF file; supports are left out.

    Raises ValueError if the file requires an extension that is not read, or refers to what it does not hold.
    """
    with zipfile.ZipFile(path) as archive:
        package = Package(archive, path, companions)
        root = package.model(package.main)
        unit = root.get("unit", "millimeter")
        if unit not in METRES:
            raise ValueError(f"its unit {unit!r} is not one of 3MF's")
        scene = MeshScene(up="z", metres=METRES[unit], without_faces="its build has no items")
        build = child(root, "build")
        for item in children(build, "item") if build is not None else []:
            source = package.resolve(item, package.main)
            for mesh, transform, where in package.meshes(source, read_transform(item), ()):
                companions.limits.check_faces(package.faces, path)
                if part := build_part(mesh, transform, package.colours(where)):
                    scene.parts.append(part)
                    scene.without_faces = ""
        return scene


class Package:
    """The files of models in a 3MF archive, each read once."""

    def __init__(self, archive: zipfile.ZipFile, path: Path, companions: Companions) -> None:
        self.archive, self.companions, self.limits = archive, companions, companions.limits
        self.limits.check_members(len(archive.infolist()), path)
        self.limits.check_bytes(sum(entry.file_size for entry in archive.infolist()), path)
        self.names = {"/" + entry.filename.lower().lstrip("/"): entry for entry in archive.infolist()}
        self.models: dict[str, etree._Element] = {}
        self.objects: dict[tuple[str, int], etree._Element] = {}
        self._colours: dict[str, dict[tuple[str, int], tuple[int, int, int]]] = {}
        self.faces = self.instances = 0
        self.main = self._find_main()

    def _find_main(self) -> str:
        if "/_rels/.rels" in self.names:
            relations = self._parse("/_rels/.rels")
            for relation in children(relations, "Relationship"):
                if relation.get("Type") == MODEL_TYPE:
                    return posixpath.normpath("/" + unquote(relation.get("Target", "")).lstrip("/"))
        for name in self.names:
            if name.endswith("3d/3dmodel.model"):
                return name
        raise ValueError("it is a zip archive without a 3-D model")

    def _parse(self, name: str) -> etree._Element:
        entry = self.names.get(name.lower())
        if entry is None:
            raise ValueError(f"it refers to {name}, which it does not hold")
        return parse_xml(self.archive.read(entry), entry.filename, limits=self.limits)

    def model(self, name: str) -> etree._Element:
        """Return the root of a model, whose objects can be found from then on."""
        if name.lower() not in self.models:
            root = self._parse(name)
            if local(root) != "model":
                raise ValueError(f"{name} is not a 3-D model")
            self.models[name.lower()] = root
            for prefix in root.get("requiredextensions", "").split():
                space = root.nsmap.get(prefix, prefix)
                if space not in KNOWN_EXTENSIONS:
                    raise ValueError(f"it requires the extension {space}, which is not read")
            resources = child(root, "resources")
            for item in children(resources, "object") if resources is not None else []:
                key = name.lower(), number(item, "id")
                if key in self.objects:
                    raise ValueError(f"{name} has two objects of id {key[1]}")
                self.objects[key] = item
                for inner in (item, *children(item, "mesh")):
                    for unread in children(inner, *UNREAD_GEOMETRY):
                        raise ValueError(f"it holds {UNREAD_GEOMETRY[local(unread)]}, which is not read")
        return self.models[name.lower()]

    def resolve(self, reference: etree._Element, here: str) -> tuple[str, int]:
        """Return in which model the object lies that a component or an item refers to, and its id there."""
        other = reference.get(f"{{{PRODUCTION}}}path")
        where = posixpath.normpath("/" + unquote(other).lstrip("/")) if other else here
        self.model(where)
        return where.lower(), number(reference, "objectid")

    def meshes(
        self, key: tuple[str, int], transform: np.ndarray, above: tuple[tuple[str, int], ...]
    ) -> Iterator[tuple[etree._Element, np.ndarray, str]]:
        """Yield the meshes of an object and its components, each with its transform and the model it lies in."""
        where, index = key
        if key in above or len(above) > MAX_DEPTH:
            raise ValueError(f"object {index} is a component of itself, or nested too deeply")
        if key not in self.objects:
            raise ValueError(f"it refers to object {index} of {where}, which does not exist")
        item = self.objects[key]
        self.instances += 1
        self.limits.check_members(self.instances, self.archive.filename)
        if item.get("type") in ("support", "solidsupport"):
            return
        for mesh in children(item, "mesh"):
            self.faces += sum(len(triangles) for triangles in children(mesh, "triangles"))
            self.limits.check_faces(self.faces, self.archive.filename)
            yield mesh, transform, where
        for components in children(item, "components"):
            for component in children(components, "component"):
                inner = transform @ read_transform(component)
                yield from self.meshes(self.resolve(component, where), inner, (*above, key))

    def colours(self, where: str) -> dict[tuple[str, int], tuple[int, int, int]]:
        """Return the colours of the groups of a model, by the id of the group and the index in it."""
        if where in self._colours:
            return self._colours[where]
        resources = child(self.models[where], "resources")
        for unread in children(resources, *UNREAD_COLOURS) if resources is not None else []:
            self.companions.report(f"colours of a {local(unread)} are not read")
        self._colours[where] = {
            (group.get("id", ""), index): colour
            for group in (children(resources, "basematerials", "colorgroup") if resources is not None else [])
            for index, entry in enumerate(group)
            if (colour := read_colour(entry.get("displaycolor") or entry.get("color")))
        }
        return self._colours[where]


def read_colour(text: str | None) -> tuple[int, int, int] | None:
    """Return the RGB of #RRGGBB or #RRGGBBAA, None for anything else."""
    match = re.fullmatch(r"#([0-9A-Fa-f]{6})(?:[0-9A-Fa-f]{2})?", text or "")
    if match is None:
        return None
    red, green, blue = bytes.fromhex(match[1])
    return red, green, blue


def read_transform(element: etree._Element) -> np.ndarray:
    """Return the matrix of an item or a component; 3MF writes it for row vectors, without its last column."""
    text = element.get("transform")
    if text is None:
        return np.eye(4)
    values = parse_floats(text.split(), "a transform")
    if values.shape != (12,) or not np.isfinite(values).all():
        raise ValueError(f"{text[:80]!r} is not a transform, which has twelve numbers")
    matrix = np.eye(4)
    matrix[:3] = values.reshape(4, 3).T
    return matrix


def build_part(
    mesh: etree._Element,
    transform: np.ndarray,
    colours: dict[tuple[str, int], tuple[int, int, int]],
) -> trimesh.Trimesh | None:
    """The mesh of a <mesh> element, None if it has no triangles."""
    vertices, triangles = child(mesh, "vertices"), child(mesh, "triangles")
    if vertices is None or triangles is None or not len(triangles):
        return None
    corners = children(vertices, "vertex")
    points = parse_floats([item.get(axis, "") for item in corners for axis in "xyz"], "a vertex")
    items = children(triangles, "triangle")
    points = points.reshape(-1, 3)
    faces = parse_integers([item.get(name, "") for item in items for name in ("v1", "v2", "v3")], "a triangle")
    faces, vertex_colours = faces.reshape(-1, 3), None
    if shades := read_corners(mesh, items, colours):
        known, index = np.unique(np.array(shades, np.uint8).reshape(-1, 3), axis=0, return_inverse=True)
        check_indices(faces, len(points), "vertex")
        # a vertex has a copy for each of its colours
        pairs, copies = np.unique(faces.reshape(-1) * len(known) + index.reshape(-1), return_inverse=True)
        points, faces, vertex_colours = points[pairs // len(known)], copies.reshape(-1, 3), known[pairs % len(known)]
    return make_part(points, faces, vertex_colours=vertex_colours, transform=transform)


def read_corners(
    mesh: etree._Element, triangles: list[etree._Element], colours: dict[tuple[str, int], tuple[int, int, int]]
) -> list[list[tuple[int, ...]]]:
    """The RGB of each corner of each triangle, a warm grey where there is none; empty if no triangle has any."""
    if not colours:
        return []
    owner, found = mesh.getparent(), []
    for item in triangles:
        group = item.get("pid", owner.get("pid"))
        first = item.get("p1", owner.get("pindex", "0"))
        places = (first, item.get("p2", first), item.get("p3", first))
        found.append([colours.get((group or "", int(place) if place.isdecimal() else -1)) for place in places])
    if not any(any(corners) for corners in found):
        return []
    return [[corner or WARM_GREY[:3] for corner in corners] for corners in found]
