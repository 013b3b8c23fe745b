"""What is installed from the wheel is whole: it trains, predicts and makes meshes far from the repository."""

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path, PurePosixPath

import pytest
import torch

import vidvox
from vidgan.files.video import write_clip

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("gancore", "vidgan", "voxgan", "vidvox")
TINY = ["--config", "tiny", "--train.steps", "2", "--train.batch", "2", "--train.cpu", "--train.preview_every", "0"]
TINY_VIDEO = ["--data.height", "16", "--data.width", "16", "--generator.channel_multipliers", "4,2"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (ROOT / ".git").exists(), reason="only a checkout knows which files are its own"),
]


class Installation:
    """A virtual environment into which the wheel was installed, and a folder to work in."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        self.desk = folder / "desk"
        self.desk.mkdir()
        venv.create(folder / "env", with_pip=False)
        self.bin = folder / "env" / "bin"
        self.site = next((folder / "env" / "lib").glob("python*/site-packages"))
        # The dependencies are those of this environment. Its own .pth files, which may lead back to the checkout, are
        # not read where it is only a path.
        paths = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
        (self.site / "dependencies.pth").write_text("\n".join(paths), encoding="utf-8")
        pip = ["-m", "pip", "--python", self.bin / "python", "install", "--no-deps", "--no-index", "--ignore-installed"]
        run(sys.executable, *pip, "--quiet", "--disable-pip-version-check", wheel, cwd=self.desk)

    def vidvox(self, *words: object) -> str:
        """What the command prints."""
        return run(self.bin / "vidvox", *words, cwd=self.desk)


def run(program: object, *words: object, cwd: Path) -> str:
    """What a program that succeeds prints; it knows nothing of the checkout."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment |= {"OMP_NUM_THREADS": "1", "PIP_ROOT_USER_ACTION": "ignore"}
    command = [str(word) for word in (program, *words)]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def sdist(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", folder, cwd=ROOT)
    return next(folder.glob("*.tar.gz"))


@pytest.fixture(scope="module")
def wheel(sdist, tmp_path_factory) -> Path:
    """The wheel that is built from the unpacked sdist alone."""
    folder = tmp_path_factory.mktemp("wheel")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder)  # our own: Python 3.11.2 has no filters
    unpacked = next(folder.iterdir())
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=unpacked)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installation(wheel, tmp_path_factory) -> Installation:
    return Installation(tmp_path_factory.mktemp("elsewhere"), wheel)


def files_of_the_checkout() -> set[str]:
    """All files under version control, or new and not ignored, without what has been deleted."""
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT).splitlines()
    return {name for name in listed if (ROOT / name).is_file() and not name.startswith(".venv")}


def test_the_sdist_holds_every_file_of_the_checkout(sdist):
    with tarfile.open(sdist) as archive:
        held = {str(PurePosixPath(*Path(name).parts[1:])) for name in archive.getnames()}
    assert held == files_of_the_checkout() | {"PKG-INFO"}
    assert {"Makefile", "configs/video/tiny.yaml", "tests/test_wheel.py", "docs/future.png"} <= held


def test_the_wheel_holds_the_packages_the_recipes_and_the_licences_and_nothing_else(wheel):
    files = files_of_the_checkout()
    expected = {name for name in files if name.startswith(tuple(f"{package}/" for package in PACKAGES))}
    expected |= {f"vidvox/{name}" for name in files if name.startswith("configs/")}
    about = f"vidvox-{vidvox.__version__}.dist-info"
    expected |= {f"{about}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt")}
    expected |= {f"{about}/licenses/{name}" for name in ("LICENSE", "NOTICE")}
    held = set(zipfile.ZipFile(wheel).namelist())
    assert held == expected
    assert {f"{package}/py.typed" for package in PACKAGES} <= held


def test_what_is_installed_is_imported_from_the_new_environment(installation):
    script = f"import {', '.join(PACKAGES)}; print(*[p.__file__ for p in ({', '.join(PACKAGES)})], sep='\\n')"
    found = run(installation.bin / "python", "-c", script, cwd=installation.desk).splitlines()
    assert found == [str(installation.site / package / "__init__.py") for package in PACKAGES]


def test_the_command_knows_its_version_its_help_and_all_recipes(installation):
    assert installation.vidvox("--version") == f"vidvox {vidvox.__version__}\n"
    assert "vidvox train video VIDEOS" in installation.vidvox("--help")
    listed = installation.vidvox("recipes")
    names = [path.stem for path in (ROOT / "configs").glob("*/*.yaml")]
    assert names
    assert [name for name in names if name not in listed] == []
    assert "start_from" in installation.vidvox("show", "folder_64")


def test_a_video_model_is_trained_and_predicts_from_another_folder(installation):
    frames = torch.randint(256, (12, 1, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    write_clip(installation.desk / "clip.mp4", frames, rate=12)
    installation.vidvox("train", "video", *TINY, *TINY_VIDEO, "--run", "runs/mine")
    installation.vidvox("predict", "clip.mp4", "-m", "runs/mine", "-o", "future.mp4", "--steps", 3)
    assert (installation.desk / "future.mp4").stat().st_size > 0
    installation.vidvox("predict", "clip.mp4", "-o", "bundled.mp4", "--steps", 2)
    assert (installation.desk / "bundled.mp4").stat().st_size > 0


def test_a_voxel_model_is_trained_on_the_bundled_furniture_and_makes_a_mesh_from_another_folder(installation):
    installation.vidvox("train", "voxels", *TINY, "--encoder.size", 16, "--run", "runs/shapes")
    picture = installation.site / "voxgan" / "assets" / "chair.png"
    files = ["-o", "chair.glb", "--preview", "chair.png"]
    installation.vidvox("mesh", picture, "-m", "runs/shapes", *files, "--threshold", 0.01)
    assert all((installation.desk / name).stat().st_size > 0 for name in ("chair.glb", "chair.png"))
