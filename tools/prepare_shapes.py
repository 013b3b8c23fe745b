"""Prepare a data set of objects: python tools/prepare_shapes.py FOLDER --out DATASET."""

from gancore.config import parse, user_errors
from voxgan.prepare import PrepareConfig, prepare


@user_errors
def main() -> None:
    config = parse(PrepareConfig, positional=["folder"])
    print(f"{prepare(config)}: {config.out}")


if __name__ == "__main__":
    main()
