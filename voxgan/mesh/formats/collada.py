"""Reads COLLADA files: the scene that is shown, with its nodes, and skins in the pose in which they were bound."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import trimesh
from lxml import etree

from voxgan.mesh.config import Axis
from voxgan.mesh.formats.collada_materials import Materials
from voxgan.mesh.formats.companions import Companions
from voxgan.mesh.formats.markup import child, children, floats, integers, local, number, parse_xml
from voxgan.mesh.formats.parts import MeshScene, check_indices, cut_fan, cut_strip, make_part, triangulate

UP: dict[str, Axis] = {"X_UP": "x", "Y_UP": "y", "Z_UP": "z"}
MAX_DEPTH = 200
"""Nodes nested more deeply are refused."""
PRIMITIVES = ("triangles", "polylist", "polygons", "tristrips", "trifans")
UNREAD = {"convex_mesh": "a convex hull", "spline": "splines", "brep": "a boundary representation"}


def read_dae(path: Path, companions: Companions) -> MeshScene:
    """Return the parts of the scene of a COLLADA file. Raises ValueError if it refers to what it does not hold."""
    root = parse_xml(path.read_bytes(), path, limits=companions.limits)
    if local(root) != "COLLADA":
        raise ValueError(f"it is not a COLLADA document, but {local(root)}")
    document = Document(root, companions)
    scene = MeshScene(without_faces="its scene shows no geometry with faces")
    up_axis, unit = child(root, "asset", "up_axis"), child(root, "asset", "unit")
    if up_axis is not None:
        name = (up_axis.text or "").strip()
        if name not in UP:
            raise ValueError(f"its up axis {name!r} is not one of COLLADA's")
        scene.up = UP[name]
    if unit is not None and (metres := float(unit.get("meter", "1"))) > 0:
        scene.metres = metres
    for node, transform in document.nodes():
        for geometry, matrix, binding in document.geometries(node, transform):
            scene.parts += document.build(geometry, matrix, binding)
    return scene


class Document:
    """The elements of a document, by their ids."""

    def __init__(self, root: etree._Element, companions: Companions) -> None:
        self.root, self.companions = root, companions
        self.ids = {element.get("id"): element for element in root.iter() if element.get("id")}
        self.materials = Materials(self.find, companions)
        self.visited = self.faces = 0

    def find(self, reference: str | None, what: str) -> etree._Element:
        """Return the element of this id or #id. Raises ValueError if there is none."""
        element = self.ids.get((reference or "").removeprefix("#"))
        if element is None:
            raise ValueError(f"it refers to the {what} {reference!r}, which it does not hold")
        return element

    def nodes(self) -> Iterator[tuple[etree._Element, np.ndarray]]:
        """Yield every node of the scene with its transform; a node that is shown twice comes twice."""
        shown = child(self.root, "scene", "instance_visual_scene")
        scenes = [
            scene
            for library in children(self.root, "library_visual_scenes")
            for scene in children(library, "visual_scene")
        ]
        if shown is None and len(scenes) > 1:
            raise ValueError(f"it has {len(scenes)} scenes and does not say which is shown")
        if shown is None and not scenes:
            return
        scene = scenes[0] if shown is None else self.find(shown.get("url"), "scene")
        waiting: list[tuple[etree._Element, np.ndarray, tuple[etree._Element, ...]]] = [
            (node, np.eye(4), ()) for node in reversed(children(scene, "node"))
        ]
        while waiting:
            node, above, path = waiting.pop()
            self.visited += 1
            self.companions.limits.check_members(self.visited, self.companions.files[0])
            if node in path or len(path) > MAX_DEPTH:
                raise ValueError("a node of it is shown inside itself, or nested too deeply")
            transform = above @ node_transform(node)
            yield node, transform
            inside = (*path, node)
            for item in reversed(node):
                if local(item) == "node":
                    waiting.append((item, transform, inside))
                elif local(item) == "instance_node":
                    waiting.append((self.find(item.get("url"), "node"), transform, inside))

    def geometries(
        self, node: etree._Element, transform: np.ndarray
    ) -> Iterator[tuple[etree._Element, np.ndarray, etree._Element]]:
        """Yield what a node shows: its geometries with their transforms and their instances."""
        for instance in children(node, "instance_geometry"):
            yield self.find(instance.get("url"), "geometry"), transform, instance
        for instance in children(node, "instance_controller"):
            element, matrix = self.find(instance.get("url"), "controller"), transform
            for _ in range(8):  # a skin over a morph over a geometry
                if local(element) == "geometry":
                    break
                skin = child(element, "skin")
                inner = skin if skin is not None else child(element, "morph")
                if inner is None:
                    raise ValueError("it has a controller that is neither a skin nor a morph")
                bind = child(skin, "bind_shape_matrix")
                if bind is not None:
                    matrix = matrix @ matrix_of(floats(bind))
                element = self.find(inner.get("source"), "geometry")
            else:
                raise ValueError("it has controllers of controllers without end")
            yield element, matrix, instance

    def build(self, geometry: etree._Element, matrix: np.ndarray, instance: etree._Element) -> list[trimesh.Trimesh]:
        """Return a part for each group of faces of a geometry."""
        mesh = child(geometry, "mesh")
        if mesh is None:
            kinds = [UNREAD[local(item)] for item in geometry if local(item) in UNREAD]
            raise ValueError(f"it holds {kinds[0] if kinds else 'geometry of an unknown kind'}, which is not read")
        parts = []
        for primitive in children(mesh, *PRIMITIVES):
            corners, counts = read_corners(primitive)
            self.faces += len(corners)
            self.companions.limits.check_faces(self.faces // 3, self.companions.files[0])
            if len(corners):
                parts.append(self._build_part(primitive, corners, counts, matrix, instance))
        return parts

    def _build_part(
        self,
        primitive: etree._Element,
        corners: np.ndarray,
        counts: np.ndarray,
        matrix: np.ndarray,
        instance: etree._Element,
    ) -> trimesh.Trimesh:
        inputs = [(item.get("semantic"), item, number(item, "offset", "0")) for item in children(primitive, "input")]
        sources: dict[str, tuple[etree._Element, int]] = {}
        texcoords: dict[str, tuple[etree._Element, int]] = {}
        for semantic, item, offset in inputs:
            source = self.find(item.get("source"), "source")
            if semantic == "VERTEX":
                for inner in children(source, "input"):
                    sources.setdefault(inner.get("semantic"), (self.find(inner.get("source"), "source"), offset))
            elif semantic == "TEXCOORD":
                texcoords[item.get("set", "0")] = source, offset
            else:
                sources.setdefault(semantic, (source, offset))
        if "POSITION" not in sources:
            raise ValueError("it has faces without positions")
        positions, offset = sources["POSITION"]
        points = read_source(positions, 3)
        index = corners[:, offset]
        check_indices(index, len(points), "vertex")
        triangles, _ = triangulate(points[index], counts)
        self.companions.limits.check_faces(len(triangles), self.companions.files[0])
        material, uv_set = self.materials.find(primitive.get("material"), instance)
        uv = colours = None
        if material is not None and material.image is not None and texcoords:
            uv = self._per_corner(*texcoords.get(uv_set or "", next(iter(texcoords.values()))), corners, 2)
        if "COLOR" in sources and material is None:
            colours = self._per_corner(*sources["COLOR"], corners, 3)
        flat = triangles.reshape(-1)
        if uv is None and colours is None:
            return make_part(points, index[triangles], material=material, transform=matrix)
        return make_part(
            points[index[flat]],
            np.arange(len(flat)).reshape(-1, 3),
            uv=None if uv is None else uv[flat],
            material=material,
            vertex_colours=None if colours is None else colours[flat],
            transform=matrix,
        )

    def _per_corner(self, source: etree._Element, offset: int, corners: np.ndarray, width: int) -> np.ndarray | None:
        """The rows of a source at the corners; None if it lacks one, which costs colours alone."""
        try:
            rows, index = read_source(source, width), corners[:, offset]
            check_indices(index, len(rows), "row")
        except ValueError as error:
            self.companions.report(f"colours or texture coordinates cannot be read: {error}")
            return None
        return rows[index]


def read_corners(primitive: etree._Element) -> tuple[np.ndarray, np.ndarray]:
    """The indices of each corner of a group of faces, one row a corner, and the numbers of corners of its faces."""
    stride = 1 + max((number(item, "offset", "0") for item in children(primitive, "input")), default=0)
    kind, lists = local(primitive), [integers(item) for item in children(primitive, "p")]
    holes = [item for hole in children(primitive, "ph") for item in children(hole, "h")]
    if holes:
        raise ValueError("it has polygons with holes, which are not read")
    rows = []
    for values in lists:
        if len(values) % stride:
            raise ValueError("it has a face that ends in the middle of a corner")
        rows.append(values.reshape(-1, stride))
    if kind in ("tristrips", "trifans"):
        cut = cut_strip if kind == "tristrips" else cut_fan
        rows = [row[cut(np.arange(len(row))).reshape(-1)] for row in rows]
    corners = np.concatenate(rows) if rows else np.empty((0, stride), np.int64)
    if kind == "polylist":
        vcount = child(primitive, "vcount")
        counts = np.empty(0, np.int64) if vcount is None else integers(vcount)
        if counts.sum() != len(corners) or (counts < 0).any():
            raise ValueError(f"its polygons should have {counts.sum():,} corners, and have {len(corners):,}")
    elif kind == "polygons":
        counts = np.array([len(row) for row in rows], np.int64)
    else:
        if len(corners) % 3:
            raise ValueError("it has a triangle of fewer than three corners")
        counts = np.full(len(corners) // 3, 3)
    stated = primitive.get("count", "")
    if kind in ("triangles", "polylist") and stated.isdecimal() and int(stated) != len(counts):
        raise ValueError(f"it states {int(stated):,} faces, and has {len(counts):,}")
    return corners, counts


def read_source(source: etree._Element, width: int) -> np.ndarray:
    """The rows of a source, cut to this many columns. Raises ValueError if it does not hold what it states."""
    array, accessor = child(source, "float_array"), child(source, "technique_common", "accessor")
    if array is None:
        raise ValueError("it has a source without numbers")
    values = floats(array)
    if accessor is None:
        return values[: len(values) // width * width].reshape(-1, width)
    stride, start, count = (number(accessor, *item) for item in (("stride", "1"), ("offset", "0"), ("count",)))
    named = [column for column, item in enumerate(children(accessor, "param")) if item.get("name")]
    columns = named[:width] if len(named) >= width else list(range(width))
    if stride < 1 or max(columns) >= stride or start + count * stride > len(values):
        raise ValueError(f"a source of it states {count:,} rows of {stride}, and holds {len(values):,} numbers")
    return values[start : start + count * stride].reshape(count, stride)[:, columns]


def node_transform(node: etree._Element) -> np.ndarray:
    """The product of the transforms of a node, in the order in which they stand."""
    total = np.eye(4)
    for item in node:
        match local(item):
            case "matrix":
                total = total @ matrix_of(floats(item))
            case "translate":
                total = total @ trimesh.transformations.translation_matrix(_exactly(floats(item), 3))
            case "scale":
                total = total @ np.diag([*_exactly(floats(item), 3), 1])
            case "rotate":
                *axis, angle = _exactly(floats(item), 4)
                if np.any(axis):
                    total = total @ trimesh.transformations.rotation_matrix(np.radians(angle), axis)
            case "lookat":
                total = total @ _look_at(_exactly(floats(item), 9))
            case "skew":
                raise ValueError("it has a node that is skewed, which is not read")
    if not np.isfinite(total).all():
        raise ValueError("it has a node whose transform is not of numbers")
    return total


def _exactly(values: np.ndarray, count: int) -> np.ndarray:
    if len(values) != count:
        raise ValueError(f"it has a transform of {len(values)} numbers instead of {count}")
    return values


def matrix_of(values: np.ndarray) -> np.ndarray:
    """The matrix of these sixteen numbers, row by row. Raises ValueError if they are not as many."""
    return _exactly(values, 16).reshape(4, 4)


def _look_at(values: np.ndarray) -> np.ndarray:
    eye, target, up = values.reshape(3, 3)
    back = eye - target
    back = back / max(np.linalg.norm(back), 1e-30)
    right = np.cross(up, back)
    right = right / max(np.linalg.norm(right), 1e-30)
    matrix = np.eye(4)
    matrix[:3] = np.stack([right, np.cross(back, right), back, eye], 1)
    return matrix
