"""vidvox doctor: reports what is installed, what is missing, and how to install it."""

import os
import platform
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

import vidvox
from gancore.model_files import find_bundled_models
from gancore.parsing import parse_config, report_user_errors
from vidvox.kinds import USES, require_kind

LIBRARIES = ("torch", "torchvision", "accelerate", "numpy", "av", "trimesh", "safetensors", "huggingface_hub")
OPTIONAL = {
    "tensorboard": ("train.trackers tensorboard", "pip install 'vidvox[tensorboard]'"),
    "pybullet": ("data.path physics", "pip install 'vidvox[physics]'"),
    "onnxscript": ("vidvox export to ONNX", "pip install 'vidvox[export]'"),
    "torch_fidelity": ("FID and IS", "pip install 'vidvox[metrics]'"),
}
"""Packages that one feature needs: the feature, and how to install them."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "firefox")


@dataclass(frozen=True)
class DoctorConfig:
    """Print versions, devices, codecs, models and downloaded weights; for anything missing, what needs it and how to
    install it."""


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    name: str
    found: str
    """What was found; empty if nothing was."""
    remedy: str = ""
    """What to do if nothing was found."""


@report_user_errors
def main(argv: Sequence[str] | None = None, *, prog: str = "") -> None:
    """Print what was found, section by section."""
    parse_config(DoctorConfig, argv, prog=prog)
    for title, findings in examine().items():
        print(title)
        for each in findings:
            print(f"  {'+' if each.found else '-'} {each.name:<22}{each.found or f'missing; {each.remedy}'}")
        print()


def examine() -> dict[str, list[Finding]]:
    """Examine the machine and the installation; findings by the title of their section."""
    return {
        "versions": [*_find_versions()],
        "devices": [*_find_devices()],
        "video": [*_find_codecs()],
        "optional": [*_find_optional()],
        "models": [*_find_models()],
        "weights for metrics": [*_find_weights()],
    }


def _find_versions() -> Iterator[Finding]:
    yield Finding("vidvox", vidvox.__version__)
    yield Finding("python", f"{platform.python_version()} ({sys.executable})")
    for name in LIBRARIES:
        try:
            yield Finding(name, version(name))
        except PackageNotFoundError:
            yield Finding(name, "", "pip install --force-reinstall vidvox")


def _find_devices() -> Iterator[Finding]:
    import torch

    threads = f"{os.cpu_count()} cores, {torch.get_num_threads()} threads of torch"
    yield Finding("cpu", f"{platform.machine()}, {threads}")
    names = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    bf16 = ", bf16" if names and torch.cuda.is_bf16_supported() else ""
    remedy = f"torch {torch.__version__} sees none; trainings run on the CPU (small recipes: vidvox recipes)"
    yield Finding("gpu", ", ".join(names) + bf16, remedy)


def _find_codecs() -> Iterator[Finding]:
    import av

    for codec, use in {"libx264": "MP4 files are written as MPEG-4 instead", "gif": "GIF cannot be written"}.items():
        yield Finding(codec, "found" if codec in av.codecs_available else "", f"{use}: pip install --upgrade av")
    for codec in ("h264", "hevc", "vp9", "av1"):
        yield Finding(f"reading {codec}", "found" if codec in av.codecs_available else "", "pip install --upgrade av")


def _find_optional() -> Iterator[Finding]:
    for package, (use, command) in OPTIONAL.items():
        yield Finding(package, "found" if find_spec(package) else "", f"needed for {use}: {command}")
    named = [os.environ.get("CHROME", ""), *BROWSERS]
    browser = next(filter(None, (shutil.which(name) for name in named if name)), "")
    yield Finding("browser", browser, "needed to look at report.html; open it on another machine")


def _find_models() -> Iterator[Finding]:
    for name, folder in find_bundled_models().items():
        try:
            yield Finding(name, USES[require_kind(folder)])
        except ValueError:
            yield Finding(name, "", "pip install --force-reinstall vidvox")


def _find_weights() -> Iterator[Finding]:
    from gancore.features.weights import PUBLISHED_WEIGHTS, find_weights, weights_folder

    yield Finding("folder", str(weights_folder()))
    for name, weights in PUBLISHED_WEIGHTS.items():
        try:
            yield Finding(name, str(find_weights(name)))
        except (OSError, ValueError):
            megabytes = weights.size / 1e6
            yield Finding(name, "", f"{weights.description}: vidvox fetch {name} ({megabytes:.3g} MB)")
