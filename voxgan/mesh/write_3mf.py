"""Encodes meshes as 3MF in millimetres, z up, with vertex colours as a colour group."""

import io
import zipfile
from collections.abc import Iterable

import numpy as np
import trimesh
from jaxtyping import UInt8

CORE = "http://schemas.microsoft.com/3dmanufacturing/core/2015/02"
MATERIAL = "http://schemas.microsoft.com/3dmanufacturing/material/2015/02"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
MODEL_TYPE = "http://schemas.microsoft.com/3dmanufacturing/2013/01/3dmodel"
HEADER = '<?xml version="1.0" encoding="UTF-8"?>\n'
CONTENT_TYPES = (
    f'{HEADER}<Types xmlns="{PACKAGE}/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="model" ContentType="application/vnd.ms-package.3dmanufacturing-3dmodel+xml"/></Types>'
)
RELATIONSHIPS = (
    f'{HEADER}<Relationships xmlns="{PACKAGE}/relationships">'
    f'<Relationship Target="/3D/3dmodel.model" Id="rel0" Type="{MODEL_TYPE}"/></Relationships>'
)


def encode_3mf(mesh: trimesh.Trimesh, colours: UInt8[np.ndarray, "vertices 4"] | None = None) -> bytes:
    """The mesh, whose vertices are in millimetres with z up, as a 3MF file; `colours` are RGBA in sRGB."""
    members = {
        "[Content_Types].xml": CONTENT_TYPES,
        "_rels/.rels": RELATIONSHIPS,
        "3D/3dmodel.model": "".join(write_model(mesh, colours)),
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, text in members.items():  # without a date, so that the same mesh gives the same file
            archive.writestr(zipfile.ZipInfo(name), text, zipfile.ZIP_DEFLATED)
    return file.getvalue()


def write_model(mesh: trimesh.Trimesh, colours: UInt8[np.ndarray, "vertices 4"] | None) -> Iterable[str]:
    """The pieces of the XML of a model with one object."""
    yield f'{HEADER}<model unit="millimeter" xml:lang="en" xmlns="{CORE}"'
    yield "" if colours is None else f' xmlns:m="{MATERIAL}"'
    yield "><resources>"
    triangles = [f'v1="{a}" v2="{b}" v3="{c}"' for a, b, c in mesh.faces.tolist()]
    if colours is None:
        yield '<object id="2" type="model">'
    else:
        known, index = np.unique(colours, axis=0, return_inverse=True)
        yield '<m:colorgroup id="1">'
        yield from (f'<m:color color="#{row.tobytes().hex().upper()}"/>' for row in known)
        yield '</m:colorgroup><object id="2" type="model" pid="1" pindex="0">'
        corners = index.reshape(-1)[mesh.faces].tolist()
        paints = (f' pid="1" p1="{a}" p2="{b}" p3="{c}"' for a, b, c in corners)
        triangles = [triangle + paint for triangle, paint in zip(triangles, paints, strict=True)]
    yield "<mesh><vertices>"
    yield from (f'<vertex x="{x:.9g}" y="{y:.9g}" z="{z:.9g}"/>' for x, y, z in mesh.vertices.tolist())
    yield "</vertices><triangles>"
    yield from (f"<triangle {triangle}/>" for triangle in triangles)
    yield '</triangles></mesh></object></resources><build><item objectid="2"/></build></model>\n'
