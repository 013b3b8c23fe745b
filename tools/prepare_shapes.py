"""Prepare a data set of objects: python tools/prepare_shapes.py FOLDER --out DATASET."""

from gancore.parsing import parse, user_errors
from voxgan.data.prepare import PrepareConfig, prepare


@user_errors
def main() -> None:
    config = parse(PrepareConfig, positional=["folder"])
    print(f"{prepare(config)}: {config.out}")


if __name__ == "__main__":
    main()
