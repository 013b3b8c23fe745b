"""Cut videos into train, val and test parts listed in a table: python tools/cut_films.py TABLE SOURCE --out FOLDER."""

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from gancore.errors import UnreadableError
from gancore.files.outputs import check_new_folder
from gancore.parsing import parse_config, report_user_errors
from gancore.settings_file import read_settings_file

CHUNK_FRAMES = 64
"""Frames decoded at a time."""


@dataclass(frozen=True, kw_only=True)
class CutConfig:
    """Write parts of videos as .npy arrays into the folders train, val and test, a layout that trainings recognise."""

    table: Path
    """YAML list of parts {film, split, from, to, stride}: `film` is a file in the source folder, `from` and `to` are
    fractions of its length (default 0 and 1), and every `stride`-th frame is kept (default 1)."""

    source: Path
    """Folder of the videos."""

    out: Path
    """New folder for the parts."""

    resize: int = 128
    """Shorter side of the frames in pixels."""

    def __post_init__(self) -> None:
        if self.resize < 1:
            raise ValueError(f"resize must be at least 1, got {self.resize}")


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of a video."""

    film: str
    split: str
    start: float = 0.0
    stop: float = 1.0
    stride: int = 1

    def __post_init__(self) -> None:
        if self.split not in ("train", "val", "test"):
            raise ValueError(f"{self.film}: split should be train, val or test, not {self.split}")
        if Path(self.film).name != self.film:
            raise ValueError(f"{self.film}: film should be the name of a file")
        if not 0 <= self.start < self.stop <= 1 or self.stride < 1:
            raise ValueError(f"{self.film}: should have 0 <= from < to <= 1 and stride >= 1")


def read_parts(table: Path) -> list[Part]:
    """Read the parts in a table. Raises UnreadableError if it is malformed, or parts of a video overlap."""
    try:
        entries = read_settings_file(table)
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise ValueError("it should be a list of mappings")
        renamed = [{{"from": "start", "to": "stop"}.get(key, key): entry[key] for key in entry} for entry in entries]
        parts = [Part(**entry) for entry in renamed]
        for one, other in combinations(parts, 2):
            if Path(one.film).stem == Path(other.film).stem and one.start < other.stop and other.start < one.stop:
                raise ValueError(f"two parts of {one.film} overlap")
        return parts
    except (TypeError, ValueError) as error:
        raise UnreadableError(f"{table} is not a table of parts of films: {error}") from error


def cut(part: Part, config: CutConfig) -> None:
    """Write a part of a video as SPLIT/FILM-FIRST.npy, where FIRST is its first frame; ValueError if it has none."""
    import torch

    from vidgan.files.video import open_video, write_clip
    from vidgan.frames import resize_to_cover

    film = open_video(config.source / part.film)
    wanted = range(round(part.start * film.frames), round(part.stop * film.frames), part.stride)
    if not wanted:
        raise ValueError(f"{part.film}: no frame of {film.frames} lies from {part.start} to {part.stop}")
    pieces = []
    for first in range(0, len(wanted), CHUNK_FRAMES):
        chunk = wanted[first : first + CHUNK_FRAMES]
        pieces.append(resize_to_cover(film.read(chunk[0], len(chunk), stride=part.stride), 1, 1, resize=config.resize))
    file = config.out / part.split / f"{Path(part.film).stem}-{wanted[0]}.npy"
    file.parent.mkdir(parents=True, exist_ok=True)
    write_clip(file, torch.cat(pieces), rate=film.rate / part.stride)
    print(f"{file}: {len(wanted)} frames at {float(film.rate / part.stride):g} a second")


@report_user_errors
def main() -> None:
    config = parse_config(CutConfig, positional=["table", "source"])
    parts = read_parts(config.table)
    check_new_folder(config.out, "out")
    for part in parts:
        cut(part, config)


if __name__ == "__main__":
    main()
