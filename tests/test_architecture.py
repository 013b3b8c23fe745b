"""Which packages and folders may import which, how long files are, and what the repository does not say."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = [name for name in ("gancore", "vidgan", "voxgan", "vidvox") if (ROOT / name).is_dir()]
MAY_IMPORT = {
    "gancore": {"gancore"},
    "vidgan": {"gancore", "vidgan"},
    "voxgan": {"gancore", "voxgan"},
    "vidvox": {"gancore", "vidgan", "voxgan", "vidvox"},
    "tools": {"gancore", "vidgan", "voxgan", "vidvox"},
}
ORDER = {
    "gancore": "comparison benchmark training evaluation graphs hub weights_file checkpoint features reporting metrics "
    "adversarial losses augment style_training style growing layers data rng device model_files splits parsing "
    "settings_file keys config style_config files errors",
    "vidgan": "peer_benchmark environment benchmark graphs rollout animation translation evaluation build generate "
    "predict simulation degrade validation paired_game objective style_training data degradations networks metrics "
    "files frames rollout_config commands animation_config translation_config config motion_config data_config",
    "voxgan": "peer_benchmark benchmark graphs evaluation labelled export latents build validation objective augment "
    "data commands networks rendering files mesh metrics config",
    "vidvox": "__main__ cli commands graphs model_card train models animator clip_inputs results settings kinds "
    "recipes",
}
"""Inside a package, files and folders import only what stands to their right."""
SOURCES = sorted(path for folder in (*PACKAGES, "tools", "tests") for path in (ROOT / folder).rglob("*.py"))
TEXT = {".py", ".md", ".yaml", ".yml", ".toml", ".txt", ".json", ""}
MODULES = [path for path in SOURCES if path.relative_to(ROOT).parts[0] != "tests"]


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imported(source: Path) -> set[str]:
    """The top names of all that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add("." if node.level else (node.module or "").partition(".")[0])
    return names


def modules(source: Path) -> set[tuple[str, str]]:
    """(package, file or folder of it) for everything that a file imports from our packages."""
    found = set()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            package, _, inside = node.module.partition(".")
            if package in ORDER:
                names = [inside.partition(".")[0]] if inside else [alias.name for alias in node.names]
                found |= {(package, name) for name in names}
    return found


def ours() -> list[Path]:
    """Every text file that belongs to the repository or is about to."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode:  # an unpacked archive has no git
        return SOURCES
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file() and path.suffix in TEXT]


def test_the_sources_are_found():
    assert {"gancore", "vidgan"} <= set(PACKAGES)
    assert len(SOURCES) > 30


@pytest.mark.parametrize("source", SOURCES, ids=named)
def test_imports_go_from_tools_to_halves_to_core_to_libraries(source):
    folder = source.relative_to(ROOT).parts[0]
    forbidden = {"gancore", "vidgan", "voxgan", "vidvox", "tools", "tests", "."} - MAY_IMPORT.get(folder, set(PACKAGES))
    assert not imported(source) & forbidden


@pytest.mark.parametrize("source", [path for path in MODULES if path.stem != "__init__"], ids=named)
def test_imports_inside_a_package_go_one_way(source):
    package, unit = source.relative_to(ROOT).with_suffix("").parts[:2]
    if package not in ORDER:
        return
    order = ORDER[package].split()
    below = order[order.index(unit) :]
    assert {name for owner, name in modules(source) if owner == package} <= set(below)


@pytest.mark.parametrize("source", SOURCES, ids=named)
def test_a_file_has_at_most_400_lines_and_a_name_that_says_what_is_in_it(source):
    assert len(source.read_text(encoding="utf-8").splitlines()) <= 400
    assert source.stem not in {"utils", "util", "common", "misc", "base", "helpers", "helper"}


@pytest.mark.parametrize("source", MODULES, ids=named)
def test_a_module_says_what_it_is(source):
    assert ast.get_docstring(ast.parse(source.read_text(encoding="utf-8")))


def test_no_file_names_a_place_on_one_machine():
    place = re.compile(r"(?<![\w.:/])/(?:home|root|Users|work|mnt|data|scratch)/\w|\b[A-Z]:\\\\?\w")
    found = {
        f"{named(path)}:{number}: {line.strip()}"
        for path in ours()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if place.search(line)
    }
    assert not found
