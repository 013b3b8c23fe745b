"""vidvox prepare: prepares a data set of objects from meshes, voxels and pictures, or from furniture programs."""

from collections.abc import Sequence

from gancore.parsing import parse_config, report_user_errors
from voxgan.commands import PrepareConfig


@report_user_errors
def main(argv: Sequence[str] | None = None, *, prog: str = "") -> None:
    """Prepare a data set, and print the number of objects in each split."""
    config = parse_config(
        PrepareConfig,
        argv,
        prog=prog,
        positional=["folder"],
        main=[
            *("out", "objects", "side", "views", "view_size", "up", "front"),
            *("max_faces", "max_minutes", "duplicate_iou", "workers", "seed"),
        ],
        examples="""
            vidvox prepare MESHES -o DATASET
            vidvox prepare ShapeNetCore.v2 -o shapenet --side 64 --view_size 256
            vidvox prepare scans -o DATASET --up z --front -y
            vidvox prepare furniture-programs -o DATASET --objects 10000 --side 64 --views 6
        """,
    )
    if not (config.builds_furniture or config.folder.exists()):
        raise FileNotFoundError(f"no such file or folder: {config.folder}")

    from voxgan.data.prepare import prepare_dataset

    print(f"{prepare_dataset(config)}: {config.out}")
