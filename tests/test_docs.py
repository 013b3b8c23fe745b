"""The pages of docs/: their commands run, what they name is there, and they build into a site without a warning."""

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from support.documents import PAGES, README, ROOT, create_workplace, read_blocks, run_block, run_command

from gancore.model_files import find_bundled_models
from gancore.training.alarms import REMEDIES
from vidvox import __version__
from vidvox.recipes import find_recipes

DOCS = ROOT / "docs"
NEEDED = ("mkdocs", "material", "mkdocstrings", "mkdocstrings_handlers", "latex2mathml")


def page_name(page: Path) -> str:
    return page.stem


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder with what the pages suppose their reader to have, and the two runs of the README, runs/mine and
    runs/shapes."""
    folder = tmp_path_factory.mktemp("docs")
    create_workplace(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run_command("vidvox train video VIDEOS --run runs/mine")
        run_command("vidvox prepare MESHES -o DATASET")
        run_command("vidvox train voxels DATASET --run runs/shapes")
    return folder


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_every_block_of_a_page_that_runs_something_has_a_name(page):
    bare = [block.text for block in read_blocks(page) if not block.name]
    assert not bare, "put <!-- test: NAME --> on the line above the block"


@pytest.mark.slow
@pytest.mark.parametrize(
    "page",
    [
        # its exports take a minute, and tests of their own run them
        pytest.param(page, marks=pytest.mark.long) if page.stem == "export" else page
        for page in PAGES
        if read_blocks(page)
    ],
    ids=page_name,
)
@pytest.mark.usefixtures("small_turns")
def test_every_command_of_a_page_runs(page, models, monkeypatch, tmp_path):
    shutil.copytree(models, tmp_path / "place", symlinks=True)  # what one page writes is not in the way of the next
    monkeypatch.chdir(tmp_path / "place")
    for block in read_blocks(page):
        run_block(block, page)


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_every_file_that_a_page_names_is_there(page):
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"`((?:configs|tools|vidgan|voxgan|gancore|vidvox|tests)/[\w./-]+)", text)
    assert not [name for name in named if name not in find_bundled_models() and not (ROOT / name).exists()]


def test_every_alarm_is_explained():
    text = (DOCS / "alarms.md").read_text(encoding="utf-8")
    headings = set(re.findall(r"^## (.+)$", text, re.M))
    assert {alarm.__name__.replace("_", " ") for alarm in REMEDIES} <= {heading.lower() for heading in headings}


def test_every_recipe_is_in_the_list_of_recipes():
    text = (DOCS / "recipes.md").read_text(encoding="utf-8")
    assert {name for name in find_recipes() if "/" in name} == set(re.findall(r"^\| `(\w+/\w+)`", text, re.M))


def test_every_document_that_the_readme_links_to_is_there():
    linked = re.findall(r"\]\((?!https?:)([\w./-]+)\)", README.read_text(encoding="utf-8"))
    assert "docs/video.md" in linked
    assert not [name for name in linked if not (ROOT / name).exists()]


def test_changes_and_citation_are_of_this_version():
    newest = re.search(r"^## (\S+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    cited = re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.M)
    assert newest
    assert cited
    assert newest[1] == cited[1] == __version__


def test_the_site_builds_without_a_warning(tmp_path):
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        pytest.skip(f"{', '.join(missing)} cannot be imported: pip install 'vidvox[docs]'")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    text = {name: (tmp_path / "site" / name / "index.html").read_text() for name in ("configuration", "api", "sprites")}
    assert "gradient_accumulation_steps" in text["configuration"]
    assert "VideoPredictor" in text["api"]
    assert "<math" in text["sprites"]
    pages = {page.stem for page in PAGES} - {"index"}
    assert pages <= {path.name for path in (tmp_path / "site").iterdir()}
