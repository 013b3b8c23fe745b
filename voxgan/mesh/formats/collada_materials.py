"""Reads the materials of COLLADA files: diffuse colours and textures."""

from collections.abc import Callable

import numpy as np
from lxml import etree
from PIL import Image

from voxgan.mesh.formats.companions import Companions
from voxgan.mesh.formats.markup import child, children, floats, local
from voxgan.mesh.materials import DiffuseMaterial

SHADERS = ("lambert", "phong", "blinn", "constant")


class Materials:
    """The materials of a document, each read once; what is wrong with one costs its colours alone."""

    def __init__(self, find: Callable[[str | None, str], etree._Element], companions: Companions) -> None:
        self._find, self._companions = find, companions
        self._known: dict[str, tuple[DiffuseMaterial, str | None] | None] = {}
        self._images: dict[str, Image.Image | None] = {}

    def find(self, symbol: str | None, instance: etree._Element) -> tuple[DiffuseMaterial | None, str | None]:
        """Return the material bound to a symbol, and the set of texture coordinates of its texture."""
        common = child(instance, "bind_material", "technique_common")
        for bound in children(common, "instance_material") if common is not None else []:
            if bound.get("symbol") == symbol:
                target = bound.get("target", "")
                if target not in self._known:
                    self._known[target] = self._read(target)
                known = self._known[target]
                if known is None:
                    return None, None
                material, semantic = known
                sets = [
                    item.get("input_set", "0")
                    for item in children(bound, "bind_vertex_input")
                    if item.get("semantic") == semantic
                ]
                return material, sets[0] if sets else None
        if symbol:
            self._companions.report(f"the material {symbol!r} was not found")
        return None, None

    def _read(self, target: str) -> tuple[DiffuseMaterial, str | None] | None:
        try:
            effect_of = child(self._find(target, "material"), "instance_effect")
            effect = self._find(effect_of.get("url") if effect_of is not None else None, "effect")
            profile = child(effect, "profile_COMMON")
            technique = child(profile, "technique")
            shader = next(
                (item for item in (technique if technique is not None else ()) if local(item) in SHADERS), None
            )
            diffuse = child(shader, "emission" if shader is not None and local(shader) == "constant" else "diffuse")
            colour, texture = child(diffuse, "color"), child(diffuse, "texture")
            if texture is not None:
                image = self._image(texture.get("texture", ""), profile)
                return DiffuseMaterial(None, image), texture.get("texcoord")
            if colour is None:
                return None
            values = floats(colour)[:3]
            if len(values) < 3 or not np.isfinite(values).all():
                raise ValueError(f"the colour {(colour.text or '').strip()[:40]!r} is not of three numbers")
            red, green, blue = values.clip(0, 1).tolist()
            return DiffuseMaterial((red, green, blue)), None
        except ValueError as error:
            self._companions.report(str(error))
            return None

    def _image(self, name: str, profile: etree._Element | None) -> Image.Image | None:
        """The picture of a texture, by way of its sampler and its surface, or named at once."""
        parameters = {item.get("sid"): item for item in children(profile, "newparam")} if profile is not None else {}
        for _ in range(3):
            sampler = parameters.get(name)
            source = child(sampler, "sampler2D", "source")
            inner = source if source is not None else child(sampler, "surface", "init_from")
            instance = child(sampler, "sampler2D", "instance_image")
            if instance is not None:
                name = instance.get("url", "").removeprefix("#")
            if inner is None or not inner.text:
                break
            name = inner.text.strip()
        init = child(self._find(name, "image"), "init_from")
        reference = child(init, "ref") if init is not None and not (init.text or "").strip() else init
        if reference is None or not (reference.text or "").strip():
            self._companions.report(f"the picture {name!r} is not stored in a file")
            return None
        path = reference.text.strip()
        if path not in self._images:
            self._images[path] = self._companions.open_image(path)
        return self._images[path]
