"""HTML documents from templates, each one file that loads nothing from the network."""

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from gancore.files.atomic import atomic_write, create_parents


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("gancore.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render_template(name: str, **values: Any) -> Markup:
    """Renders a template of this package as HTML; every value that is not Markup is escaped."""
    return Markup(_environment().get_template(name).render(**values))


def read_asset(name: str) -> str:
    """Reads a style sheet or script that lies with the templates."""
    return (files("gancore.reporting") / "templates" / name).read_text(encoding="utf-8")


def write_document(
    path: str | Path,
    template: str,
    *,
    title: str,
    styles: Sequence[str] = ("page.css",),
    scripts: Sequence[str] = (),
    local_files: bool = False,
    **values: Any,
) -> None:
    """Writes a document from a template that extends document.html.j2, whole or not at all.

    Missing folders are created. Styles and scripts are names of files with the templates. The document's content
    security policy forbids it to load anything, and to run any script but these, which it knows by their hashes. With
    `local_files` it may show pictures and videos that lie in its folder.
    """
    sources = [read_asset(name) for name in scripts]
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    if local_files:
        policy = "default-src 'none'; img-src 'self' file:; media-src 'self' file:; style-src 'unsafe-inline'"
    if sources:
        hashes = [base64.b64encode(hashlib.sha256(source.encode()).digest()).decode() for source in sources]
        policy += "; script-src" + "".join(f" 'sha256-{each}'" for each in hashes)
    text = render_template(
        template,
        title=title,
        policy=policy,
        style=Markup("".join(map(read_asset, styles))),
        scripts=[Markup(source) for source in sources],
        **values,
    )
    path = Path(path)
    create_parents(path)
    with atomic_write(path) as partial:
        partial.write_text(f"{text}\n", encoding="utf-8", errors="replace", newline="\n")
