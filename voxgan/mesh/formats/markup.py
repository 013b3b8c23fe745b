"""Reads the XML of mesh files: no entities, nothing from elsewhere, nesting within bounds."""

import re

import numpy as np
from jaxtyping import Float, Int
from lxml import etree

from gancore.files.limits import ShapeLimits
from voxgan.mesh.formats.text import parse_floats, parse_integers

BYTES_PER_BYTE = 12
"""Memory that a tree of elements takes, in bytes a byte of its text."""
DECLARATION = re.compile(rb"<!\s*(DOCTYPE|ENTITY)", re.IGNORECASE)


def parse_xml(content: bytes, name: object, *, limits: ShapeLimits) -> etree._Element:
    """Return the root element, without comments; tags are stripped of their namespaces by `local`.

    Raises ValueError if it is not XML, declares a document type or entities, or is nested more than 256 levels deep.
    """
    limits.check_bytes(len(content) * BYTES_PER_BYTE, name)
    if DECLARATION.search(content.replace(b"\0", b"")):
        raise ValueError("its XML declares a document type or entities, which are not read")
    try:
        return _parse(content, huge_tree=False)
    except etree.XMLSyntaxError as error:
        if "depth" in str(error):
            raise ValueError("its XML is nested more than 256 levels deep") from error
        if "huge" not in str(error).lower():
            raise ValueError(f"its XML is damaged: {error}") from error
    # one list of numbers longer than 10 MB, in a tree that has neither entities nor depth to grow by
    try:
        root = _parse(content, huge_tree=True)
    except etree.XMLSyntaxError as error:
        raise ValueError(f"its XML is damaged: {error}") from error
    level, depth = [root], 0
    while level:
        level, depth = [child for item in level for child in item], depth + 1
        if depth > 256:
            raise ValueError("its XML is nested more than 256 levels deep")
    return root


def _parse(content: bytes, *, huge_tree: bool) -> etree._Element:
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        remove_comments=True,
        remove_pis=True,
        huge_tree=huge_tree,
    )
    return etree.fromstring(content, parser)


def local(element: etree._Element) -> str:
    """Return the name of an element without its namespace."""
    return etree.QName(element).localname if isinstance(element.tag, str) else ""


def children(element: etree._Element, *names: str) -> list[etree._Element]:
    """Return the children of these names, of any namespace."""
    return list(element.iterchildren(*(f"{{*}}{name}" for name in names)))


def child(element: etree._Element | None, *path: str) -> etree._Element | None:
    """Return the first child of that name, of its first child of the next name, and so on; None if there is none."""
    for name in path:
        if element is None:
            return None
        element = next(iter(children(element, name)), None)
    return element


def number(element: etree._Element, name: str, default: str | None = None) -> int:
    """Parse an attribute that is a whole number. Raises ValueError if it is missing or not one."""
    text = element.get(name, default)
    if text is None or not re.fullmatch(r"\s*\+?\d+\s*", text):
        raise ValueError(f"{name} of {local(element)} is {text!r}, and should be a whole number")
    return int(text)


def floats(element: etree._Element) -> Float[np.ndarray, " numbers"]:
    """Return the numbers in the text of an element. Raises ValueError if it holds anything else."""
    return parse_floats((element.text or "").split(), local(element))


def integers(element: etree._Element) -> Int[np.ndarray, " numbers"]:
    """Return the whole numbers in the text of an element. Raises ValueError if it holds anything else."""
    return parse_integers((element.text or "").split(), local(element))
