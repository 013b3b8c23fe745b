"""The packages that are installed fit each other, and none has a hole that has been published and is known here."""

import subprocess
import sys
import tomllib
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = [requirement for extra in PROJECT["optional-dependencies"].values() for requirement in extra]
REQUIREMENTS = [
    requirement
    for requirement in map(Requirement, [*PROJECT["dependencies"], *EXTRAS])
    if requirement.name != PROJECT["name"]
]
HOLES = tomllib.loads((ROOT / "tests" / "known_holes.toml").read_text(encoding="utf-8"))["hole"]


def read_constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if not line.startswith("#")]
    return {canonicalize_name(name): pinned for name, pinned in pairs}


def test_the_packages_that_are_installed_fit_each_other():
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode:
        pytest.skip("there is no pip")
    checked = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "check"], capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("hole", HOLES, ids=lambda hole: f"{hole['package']} {hole['affected']}")
def test_no_package_that_is_installed_or_constrained_has_a_known_hole(hole):
    affected, name = SpecifierSet(hole["affected"]), canonicalize_name(hole["package"])
    with suppress(PackageNotFoundError):
        assert version(name) not in affected, f"{name} {version(name)}: {hole['what']}"
    assert read_constraints()[name] not in affected, hole["what"]


@pytest.mark.parametrize("hole", HOLES, ids=lambda hole: f"{hole['package']} {hole['affected']}")
def test_a_lower_bound_lets_no_version_with_a_known_hole_in(hole):
    for requirement in REQUIREMENTS:
        if canonicalize_name(requirement.name) == canonicalize_name(hole["package"]):
            lowest = [each.version for each in requirement.specifier if each.operator == ">="]
            assert lowest
            assert lowest[0] not in SpecifierSet(hole["affected"]), f"{requirement}: {hole['what']}"


def test_the_constraints_name_every_requirement_in_a_version_that_is_allowed():
    constraints = read_constraints()
    for requirement in REQUIREMENTS:
        assert constraints[canonicalize_name(requirement.name)] in requirement.specifier, str(requirement)


def test_the_constraints_name_no_place_and_each_package_once():
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert not [line for line in text.splitlines() if "@" in line or line.startswith("-") or "://" in line]
    assert len(read_constraints()) == text.count("==") - text.splitlines()[0].count("==")
