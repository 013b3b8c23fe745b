"""Reads the materials of glTF files: base colours and textures, with the coordinates that place them."""

from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from voxgan.mesh.formats.companions import Companions
from voxgan.mesh.formats.gltf_buffers import Buffers
from voxgan.mesh.materials import LinearMaterial

SOURCES = ("EXT_texture_webp", "EXT_texture_avif")
"""Extensions of textures whose pictures are read."""

LARGEST_UV = 1e9
"""Texture coordinates beyond this, and NaN, are read as 0."""


class Materials:
    """The materials and pictures of a file, each read once; what is wrong with one costs its colours alone."""

    def __init__(self, buffers: Buffers, companions: Companions) -> None:
        self._buffers, self._companions = buffers, companions
        self._images: dict[int, Image.Image | None] = {}

    def read(
        self, primitive: dict[str, Any], attributes: dict[str, Any], get: Callable[[str], np.ndarray], count: int
    ) -> dict[str, Any]:
        """Return the material of a primitive, its UV coordinates (v up) and its vertex colours, all linear."""
        try:
            return self._read(primitive, attributes, get, count)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self._companions.report(f"a material cannot be read: {error}")
            return {}

    def _read(
        self, primitive: dict[str, Any], attributes: dict[str, Any], get: Callable[[str], np.ndarray], count: int
    ) -> dict[str, Any]:
        colours = self._vertex_colours(attributes, get, count)
        if "material" not in primitive:
            return {} if colours is None else {"material": LinearMaterial(np.ones(4)), "vertex_colours": colours}
        entry = self._buffers.item("materials", primitive["material"])
        glossy = entry.get("extensions", {}).get("KHR_materials_pbrSpecularGlossiness")
        surface, names = entry.get("pbrMetallicRoughness", {}), ("baseColorFactor", "baseColorTexture")
        if glossy is not None:
            surface, names = glossy, ("diffuseFactor", "diffuseTexture")
        factor = np.array(surface.get(names[0], (1, 1, 1, 1)), np.float64).reshape(4)
        texture = surface.get(names[1])
        image = None if texture is None else self._texture(texture.get("index"))
        found: dict[str, Any] = {
            "material": LinearMaterial(factor, image, alpha_mode=str(entry.get("alphaMode", "OPAQUE"))),
            "vertex_colours": colours,
        }
        if image is not None and texture is not None:
            transform = texture.get("extensions", {}).get("KHR_texture_transform", {})
            name = f"TEXCOORD_{transform.get('texCoord', texture.get('texCoord', 0))}"
            if name in attributes:
                uv = get(name).astype(np.float64)[:, :2]
                if len(uv) == count:
                    found["uv"] = place_texture(uv, transform)
            if "uv" not in found:
                self._companions.report(f"a texture is left out: {name} does not have a value for every vertex")
        return found

    def _vertex_colours(
        self, attributes: dict[str, Any], get: Callable[[str], np.ndarray], count: int
    ) -> np.ndarray | None:
        if "COLOR_0" not in attributes:
            return None
        try:
            colours = get("COLOR_0")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self._companions.report(f"vertex colours cannot be read: {error}")
            return None
        if len(colours) == count and colours.shape[1] in (3, 4):
            return colours
        self._companions.report(f"there are {len(colours):,} vertex colours for {count:,} vertices")
        return None

    def _texture(self, index: Any) -> Image.Image | None:
        texture = self._buffers.item("textures", index)
        extensions = texture.get("extensions", {})
        sources = [extensions[name].get("source") for name in SOURCES if name in extensions] + [texture.get("source")]
        for source in sources:
            if source is not None and (image := self._image(source)) is not None:
                return image
        if sources == [None]:
            self._companions.report(f"texture {index} has no picture of a kind that is read: {', '.join(extensions)}")
        return None

    def _image(self, index: int) -> Image.Image | None:
        if index not in self._images:
            self._images[index] = None
            entry = self._buffers.item("images", index)
            uri = entry.get("uri")
            if isinstance(uri, str) and not uri.startswith("data:"):
                self._images[index] = self._companions.open_image(uri)
            else:
                content = (
                    self._buffers.load_uri(uri) if isinstance(uri, str) else self._buffers.view(entry["bufferView"])[0]
                )
                self._images[index] = self._companions.decode_image(content, entry.get("name") or f"picture {index}")
        return self._images[index]


def place_texture(uv: np.ndarray, transform: dict[str, Any]) -> np.ndarray:
    """Return UV coordinates with v up from those of glTF with v down, after the transform of a texture."""
    scale, offset = (
        np.array(transform.get(name, default), np.float64) for name, default in (("scale", (1, 1)), ("offset", (0, 0)))
    )
    turn = float(transform.get("rotation", 0))
    cosine, sine = np.cos(turn), np.sin(turn)
    u, v = (np.where(abs(uv) < LARGEST_UV, uv, 0) * scale).T
    u, v = cosine * u + sine * v + offset[0], cosine * v - sine * u + offset[1]
    return np.stack([u, 1 - v], 1)
