"""The objects of the data set "furniture-programs", built when they are prepared: nothing of them lies on disk."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from gancore.files.limits import ShapeLimits
from voxgan.commands import PROGRAMS
from voxgan.data.procedural.catalogue import KINDS, build_furniture, choose_kind
from voxgan.data.sources import Layout, Source, assign_split
from voxgan.mesh.config import Axis
from voxgan.mesh.read import LoadedMesh
from voxgan.mesh.voxelise import normalise_mesh

LICENCE = "CC0-1.0"
"""What the objects may be used under."""


@dataclass(frozen=True, kw_only=True)
class ProgramSource(Source):
    """A piece of furniture that a program builds; its id is office-chair/12 for kind and seed."""

    kind: str
    seed: int

    def load_mesh(
        self, *, up: Axis | None = None, front: Axis | None = None, limits: ShapeLimits = ShapeLimits()
    ) -> LoadedMesh:
        """The mesh upright in the unit cube, its front to +z, with its textures; the arguments change nothing."""
        del up, front, limits
        built = build_furniture(self.kind, self.seed).textured_mesh
        return LoadedMesh(normalise_mesh(built.mesh), built.textures, up="y")

    def content_digest(self) -> bytes:
        """A 16-byte digest of kind and seed; the code of the programs is in the key of the cache."""
        return hashlib.blake2b(repr((self.kind, self.seed)).encode(), digest_size=16).digest()

    def own_files(self) -> tuple[Path, ...]:
        """None."""
        return ()

    def files_behind(self, loaded: LoadedMesh | None) -> tuple[Path, ...]:
        """None."""
        del loaded
        return ()


def list_programs(count: int) -> Layout:
    """The first `count` objects: number n is of the kind `choose_kind(n)` and has the seed n.

    Their splits are declared, so that they depend on nothing but the number.
    """
    return Layout(PROGRAMS, tuple(map(program_source, range(count))))


def program_source(number: int) -> ProgramSource:
    """The object with this number."""
    kind = choose_kind(number)
    label = KINDS[kind].label
    source = ProgramSource(id=f"{kind}/{number}", label=label, kind=kind, seed=number, closed=True, licence=LICENCE)
    return replace(source, split=assign_split(source))
