"""Fills the pages of the site with what the sources say: the configuration from its dataclasses, recipes from their
files; and turns formulas into MathML, which needs no scripts and no network."""

import html
import re
from dataclasses import MISSING
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert

from gancore.keys import Key, list_keys
from vidgan import commands as video_commands
from vidgan.animation import commands as animation_commands
from vidgan.animation_config import AnimationConfig
from vidgan.config import VideoConfig
from vidgan.rollout_config import RolloutConfig
from vidgan.translation import commands as translation_commands
from vidgan.translation_config import TranslationConfig
from vidvox.recipes import find_recipes
from voxgan import commands as voxel_commands
from voxgan.config import VoxelConfig

CONFIGURATIONS = {
    "vidvox train video": VideoConfig,
    "vidvox train translation": TranslationConfig,
    "vidvox train animation": AnimationConfig,
    "vidvox train voxels": VoxelConfig,
    "vidvox predict": video_commands.PredictConfig,
    "vidvox generate (video)": video_commands.GenerateConfig,
    "vidvox restore": translation_commands.RestoreConfig,
    "vidvox upscale": translation_commands.UpscaleConfig,
    "vidvox colourise": translation_commands.ColouriseConfig,
    "vidvox fill": translation_commands.FillConfig,
    "vidvox translate": translation_commands.TranslateConfig,
    "vidvox animate": animation_commands.AnimateConfig,
    "vidvox skeletons": animation_commands.SkeletonsConfig,
    "vidvox rollout": RolloutConfig,
    "vidvox degrade": video_commands.DegradeConfig,
    "vidvox evaluate (video)": video_commands.EvaluateConfig,
    "vidvox evaluate (translation)": translation_commands.EvaluateTranslationConfig,
    "vidvox evaluate (animation)": animation_commands.EvaluateAnimationConfig,
    "vidvox recognise": video_commands.RecogniseConfig,
    "vidvox prepare": voxel_commands.PrepareConfig,
    "vidvox mesh, vidvox generate (voxels)": voxel_commands.ExportConfig,
    "vidvox evaluate (voxels)": voxel_commands.EvaluateConfig,
}
"""Commands and the dataclasses of their settings."""

FORMULA = re.compile(r'<(?P<tag>span|div) class="arithmatex">\\[(\[](?P<latex>.*?)\\[)\]]</(?P=tag)>', re.S)
INDEX_LINK = re.compile(r"\]\(docs/")
PROJECT_LINK = re.compile(r"\[([^\]]*)\]\((?:[A-Z]+\.(?:md|cff)|NOTICE)\)")


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Replace the markers of generated parts."""
    markdown = markdown.replace("<!-- configuration -->", format_configuration())
    markdown = markdown.replace("<!-- recipes -->", format_recipes())
    if page.file.src_uri == "index.md":
        readme = Path(page.file.abs_src_path).parents[1] / "README.md"
        text = INDEX_LINK.sub("](", readme.read_text(encoding="utf-8"))
        return PROJECT_LINK.sub(r"`\1`", text)  # files of the repository that are not part of the site
    return markdown


def on_page_content(content: str, **_: Any) -> str:
    """Replace formulas in LaTeX by MathML."""

    def to_mathml(match: re.Match[str]) -> str:
        display = "block" if match["tag"] == "div" else "inline"
        return convert(html.unescape(match["latex"]).strip(), display=display)

    return FORMULA.sub(to_mathml, content)


def format_configuration() -> str:
    """A section for each command, with a table of keys for each section of its settings."""
    return "\n".join(
        line for title, config_class in CONFIGURATIONS.items() for line in _format_command(title, config_class)
    )


def _format_command(title: str, config_class: type) -> list[str]:
    lines = [f"## {title}", "", " ".join((config_class.__doc__ or "").split()), ""]
    sections: dict[str, list[Key]] = {}
    keys = list_keys(config_class)
    for key in keys.values():
        if not key.is_section:
            sections.setdefault(key.section, []).append(key)
    for section, members in sections.items():
        if section:
            purpose = keys[section].doc
            lines += [f"### `{section}` {{ #{title.replace(' ', '-')}-{section} }}", "", purpose, ""]
        lines += ["| key | type | default | meaning |", "|---|---|---|---|"]
        for key in members:
            default = "" if key.default is MISSING else f"`{_escape(key.default_text)}`"
            default = "*required*" if key.is_required else default
            lines.append(f"| `{key.name}` | {_escape(key.type_name)} | {default} | {_escape(key.doc)} |")
        lines.append("")
    return lines


def format_recipes() -> str:
    """The file of every recipe, folded."""
    lines = []
    for name, path in find_recipes().items():
        if "/" in name:
            text = path.read_text(encoding="utf-8").rstrip()
            lines += [f'??? note "{name}"', "", "    ```yaml", *(f"    {line}" for line in text.splitlines())]
            lines += ["    ```", ""]
    return "\n".join(lines)


def _escape(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
