"""Reads glTF files: the meshes of the default scene where its nodes put them, skins and morphs at rest."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import DracoPy
import numpy as np
import trimesh

from voxgan.mesh.formats.companions import Companions
from voxgan.mesh.formats.gltf_buffers import Buffers, normalise, read_container
from voxgan.mesh.formats.gltf_materials import Materials
from voxgan.mesh.formats.parts import MeshScene, cut_fan, cut_strip, make_part

DRACO = "KHR_draco_mesh_compression"
INSTANCING = "EXT_mesh_gpu_instancing"
READ_EXTENSIONS = {
    DRACO,
    INSTANCING,
    "KHR_mesh_quantization",
    "KHR_node_visibility",
    # of lights, pictures and movement, which do not touch the geometry at rest
    "KHR_texture_transform",
    "KHR_texture_basisu",
    "EXT_texture_webp",
    "EXT_texture_avif",
    "MSFT_texture_dds",
    "KHR_lights_punctual",
    "EXT_lights_image_based",
    "KHR_animation_pointer",
    "KHR_xmp_json_ld",
}
"""Extensions that a file may require."""
POINTS_AND_LINES = (0, 1, 2, 3)
TRIANGLES, STRIP, FAN = 4, 5, 6


def read_gltf(path: Path, companions: Companions) -> MeshScene:
    """Return the parts of the default scene of a .gltf or .glb file.

    Raises ValueError, naming it, if the file requires an extension that is not read, and if anything in it refers to
    what it does not hold.
    """
    tree, binary = read_container(path)
    required = tree.get("extensionsRequired", [])
    for name in required if isinstance(required, list) else [required]:
        if name not in READ_EXTENSIONS and not str(name).startswith("KHR_materials_"):
            raise ValueError(f"it requires the extension {name}, which is not read")
    reader = SceneReader(Buffers(tree, binary, companions), tree, companions)
    scene = MeshScene(up="y", metres=1.0, without_faces="its scene shows no triangles")
    for node, transform in reader.nodes():
        scene.parts += reader.read_node(node, transform)
    return scene


class SceneReader:
    """Walks through the nodes of a scene and reads what they show."""

    def __init__(self, buffers: Buffers, tree: dict[str, Any], companions: Companions) -> None:
        self.buffers, self.tree, self.companions = buffers, tree, companions
        self.materials = Materials(buffers, companions)
        self.faces = self.visited = 0
        self.parents: dict[int, int] = {}
        for index, node in enumerate(tree.get("nodes", [])):
            for inner in node.get("children", []):
                self.parents.setdefault(inner, index)

    def nodes(self) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
        """Yield the nodes of the default scene with their transforms; of the first scene if none is the default."""
        if self.tree.get("scenes"):
            roots = self.buffers.item("scenes", self.tree.get("scene", 0)).get("nodes", [])
        else:
            roots = [index for index in range(len(self.tree.get("nodes", []))) if index not in self.parents]
        waiting: list[tuple[Any, np.ndarray, tuple[int, ...]]] = [(root, np.eye(4), ()) for root in reversed(roots)]
        while waiting:
            index, above, path = waiting.pop()
            node = self.buffers.item("nodes", index)
            self.visited += 1
            self.companions.limits.check_members(self.visited, self.companions.files[0])
            if index in path or len(path) > 1000:
                raise ValueError(f"node {index} lies inside itself, or too deep")
            if _extension(node, "KHR_node_visibility").get("visible", True) is False:
                continue
            transform = above @ node_transform(node)
            yield node, transform
            waiting += [(inner, transform, (*path, index)) for inner in reversed(node.get("children", []))]

    def read_node(self, node: dict[str, Any], transform: np.ndarray) -> list[trimesh.Trimesh]:
        """Return the parts that a node shows, once for each of its instances."""
        if "mesh" not in node:
            return []
        mesh = self.buffers.item("meshes", node["mesh"])
        weights = node.get("weights", mesh.get("weights", []))
        joints = self._joints(node["skin"]) if "skin" in node else None
        transforms = [np.eye(4)] if joints is not None else list(self._instances(node, transform))
        parts = []
        for primitive in mesh.get("primitives", []):
            mode = primitive.get("mode", TRIANGLES)
            if mode in POINTS_AND_LINES:
                continue
            if mode not in (TRIANGLES, STRIP, FAN):
                raise ValueError(f"it has a primitive of mode {mode!r}, which does not exist")
            read = self._read_primitive(primitive, mode, weights, joints)
            for matrix in transforms:
                self.faces += len(read["faces"])
                self.companions.limits.check_faces(self.faces, self.companions.files[0])
                parts.append(make_part(**read, transform=matrix))
        return parts

    def _instances(self, node: dict[str, Any], transform: np.ndarray) -> Iterator[np.ndarray]:
        attributes = _extension(node, INSTANCING).get("attributes")
        if attributes is None:
            yield transform
            return
        arrays = {name: self.buffers.array(index) for name, index in attributes.items() if not name.startswith("_")}
        counts = {len(array) for array in arrays.values()}
        if len(counts) != 1:
            raise ValueError(f"it has instances whose numbers differ: {sorted(counts)}")
        self.companions.limits.check_members(max(counts), self.companions.files[0])
        for row in range(max(counts)):
            own = {name.lower(): array[row].tolist() for name, array in arrays.items()}
            yield transform @ node_transform(own)

    def _joints(self, index: Any) -> np.ndarray:
        """The matrix of each joint of a skin, from the mesh as it was bound to the scene."""
        skin = self.buffers.item("skins", index)
        joints = [self._global_transform(joint) for joint in skin.get("joints", [])]
        if "inverseBindMatrices" not in skin:
            return np.array(joints)
        inverse = self.buffers.array(skin["inverseBindMatrices"]).astype(np.float64)
        if len(inverse) < len(joints) or inverse.shape[1] != 16:
            raise ValueError("it has a skin with fewer matrices than joints")
        return np.array(joints) @ inverse[: len(joints)].reshape(-1, 4, 4).transpose(0, 2, 1)

    def _global_transform(self, index: Any) -> np.ndarray:
        total, seen = np.eye(4), set()
        while index is not None:
            if index in seen:
                raise ValueError(f"node {index} lies inside itself")
            seen.add(index)
            total = node_transform(self.buffers.item("nodes", index)) @ total
            index = self.parents.get(index)
        return total

    def _read_primitive(
        self, primitive: dict[str, Any], mode: int, weights: list[Any], joints: np.ndarray | None
    ) -> dict[str, Any]:
        """What `make_part` needs to make a part of the primitive, but for the transform."""
        attributes = primitive.get("attributes", {})
        if "POSITION" not in attributes:
            raise ValueError("it has a primitive without positions")
        accessor = self.buffers.item("accessors", attributes["POSITION"])
        self.companions.limits.check_bytes(24 * int(accessor.get("count", 0)), "an array")
        if packed := _extension(primitive, DRACO):
            arrays, faces = self._unpack(packed, attributes)
        else:
            arrays, faces = {}, self._read_faces(primitive, mode, accessor)

        def get(name: str) -> np.ndarray:
            return arrays[name] if name in arrays else self.buffers.array(attributes[name])

        vertices = get("POSITION").astype(np.float64)
        if vertices.shape[1] != 3:
            raise ValueError(f"it has positions of {vertices.shape[1]} numbers")
        for weight, target in zip(weights, primitive.get("targets", []), strict=False):
            if weight and "POSITION" in target:
                vertices = vertices + weight * self.buffers.array(target["POSITION"])
        if joints is not None:
            vertices = pose(
                vertices,
                joints,
                [(get(f"JOINTS_{n}"), get(f"WEIGHTS_{n}")) for n in range(4) if f"JOINTS_{n}" in attributes],
            )
        return {"vertices": vertices, "faces": faces, **self.materials.read(primitive, attributes, get, len(vertices))}

    def _read_faces(self, primitive: dict[str, Any], mode: int, accessor: dict[str, Any]) -> np.ndarray:
        if "indices" in primitive:
            entry = self.buffers.item("accessors", primitive["indices"])
            self.companions.limits.check_faces(int(entry.get("count", 0)) // 3, self.companions.files[0])
            values = self.buffers.array(primitive["indices"])
            if values.shape[1] != 1 or values.dtype.kind != "u":
                raise ValueError("it has faces whose indices are not whole numbers")
            order = values[:, 0].astype(np.int64)
        else:
            order = np.arange(int(accessor["count"]))
        if mode == TRIANGLES:
            if len(order) % 3:
                raise ValueError(f"it has triangles of {len(order):,} corners together")
            return order.reshape(-1, 3)
        return cut_strip(order) if mode == STRIP else cut_fan(order)

    def _unpack(self, packed: dict[str, Any], attributes: dict[str, Any]) -> tuple[dict[str, np.ndarray], np.ndarray]:
        content, _ = self.buffers.view(packed.get("bufferView"))
        decoded = DracoPy.decode(content)
        if getattr(decoded, "faces", None) is None:
            raise ValueError(f"its {DRACO} holds no faces")
        known = {item["unique_id"]: np.asarray(item["data"]) for item in decoded.attributes}
        arrays = {}
        for name, number in packed.get("attributes", {}).items():
            if name not in attributes:
                continue
            accessor = self.buffers.item("accessors", attributes[name])
            values = known.get(number)
            if values is None or len(values) != accessor.get("count"):
                raise ValueError(f"its {DRACO} does not hold the {name} that it states")
            arrays[name] = normalise(values.reshape(len(values), -1), accessor)
        return arrays, np.asarray(decoded.faces, np.int64).reshape(-1, 3)


def pose(vertices: np.ndarray, joints: np.ndarray, influences: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Return the vertices where their joints put them, by the weights of the joints."""
    if not influences:
        raise ValueError("it has a skin, and a primitive without joints")
    index = np.concatenate([number for number, _ in influences], 1).astype(np.int64)
    weight = np.concatenate([share for _, share in influences], 1).astype(np.float64)
    if index.shape != weight.shape or len(index) != len(vertices) or (index.size and index.max() >= len(joints)):
        raise ValueError("it has vertices bound to joints that do not exist")
    weight = weight / np.where((total := weight.sum(1, keepdims=True)) > 0, total, 1)
    homogeneous = np.pad(vertices, ((0, 0), (0, 1)), constant_values=1.0)
    moved = np.zeros((len(vertices), 3))
    for column in range(index.shape[1]):
        matrices = joints[index[:, column], :3]
        moved += weight[:, column, None] * np.einsum("vij,vj->vi", matrices, homogeneous)
    return moved


def node_transform(node: dict[str, Any]) -> np.ndarray:
    """Return the transform of a node, from its matrix or from its translation, rotation and scale."""
    if "matrix" in node:
        matrix = np.array(node["matrix"], np.float64).reshape(4, 4).T
    else:
        x, y, z, w = np.array(node.get("rotation", (0, 0, 0, 1)), np.float64)
        matrix = trimesh.transformations.quaternion_matrix((w, x, y, z))
        matrix[:3, :3] *= np.array(node.get("scale", (1, 1, 1)), np.float64).reshape(3)
        matrix[:3, 3] = np.array(node.get("translation", (0, 0, 0)), np.float64).reshape(3)
    if not np.isfinite(matrix).all():
        raise ValueError("it has a node whose transform is not of numbers")
    return matrix


def _extension(entry: dict[str, Any], name: str) -> dict[str, Any]:
    return entry.get("extensions", {}).get(name, {})
