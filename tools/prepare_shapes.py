"""Prepare a data set of objects: python tools/prepare_shapes.py FOLDER --out DATASET."""

from gancore.parsing import parse_config, report_user_errors
from voxgan.commands import PrepareConfig
from voxgan.data.prepare import prepare_dataset


@report_user_errors
def main() -> None:
    config = parse_config(PrepareConfig, positional=["folder"])
    print(f"{prepare_dataset(config)}: {config.out}")


if __name__ == "__main__":
    main()
