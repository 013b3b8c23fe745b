"""vidvox train voxels: trains a generator of objects on a folder of meshes or a prepared data set."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gancore.parsing import parse_config, report_user_errors
from vidvox.commands import training
from vidvox.recipes import find_recipes
from voxgan.config import VoxelConfig

RECIPE = "furniture_32"
"""Used without --config."""


@dataclass(frozen=True, kw_only=True)
class TrainVoxelsConfig(training.ProcessesConfig, VoxelConfig):
    """Train a network from pictures to objects, or with encoder.kind none a generator from noise. A folder of meshes is
    first prepared as a data set beside the run folder. Without --config the recipe furniture_32 is used, whose settings
    (vidvox show furniture_32) replace the defaults below."""


@report_user_errors
def main(argv: Sequence[str], *, prog: str) -> None:
    """Train on a prepared data set, or on a folder of meshes, which is prepared first."""
    config = parse_config(
        TrainVoxelsConfig,
        training.add_default_recipe(argv, RECIPE),
        prog=prog,
        positional=["data.path"],
        main=[
            *training.SHARED_KEYS,
            *("data.classes", "data.class_conditional", "data.views", "encoder.kind", "encoder.size"),
        ],
        recipes=find_recipes("voxels"),
        examples=f"""
            {prog} MESHES --run runs/shapes
            {prog} DATASET --run runs/shapes      (made by vidvox prepare)
            {prog} --config chairs_32             (the furniture that comes with the package)
            {prog} MESHES --run runs/shapes --processes 4
        """,
    )
    training.check_source(config.data.path, argv, named=["furniture"], of="meshes or data set", prog=prog)
    if config.data.path != "furniture" and not Path(config.data.path, "dataset.json").is_file():
        config = replace(config, data=replace(config.data, path=str(_prepare(config))))
    if config.processes and config.processes > 1:
        training.train_together(config.processes, prog, argv)

    from vidvox import train

    train.train_voxels(training.upcast(config, VoxelConfig))


def _prepare(config: VoxelConfig) -> Path:
    """Prepare the meshes as a data set beside the run folder, and return its path; cached objects are reused."""
    out = config.run.with_name(f"{config.run.name}-data")
    if "RANK" in os.environ:  # the parent process has prepared it
        return out
    from voxgan.commands import PrepareConfig
    from voxgan.data.prepare import prepare_dataset

    needs_views = config.encoder.kind != "none"
    settings = PrepareConfig(
        folder=Path(config.data.path),
        out=out,
        side=config.data.side or PrepareConfig.side,
        views=PrepareConfig.views if needs_views else 0,
        view_size=max(PrepareConfig.view_size, config.encoder.size),
    )
    print(f"preparing {config.data.path} as the data set {out} ({settings.side} voxels a side)", flush=True)
    result = prepare_dataset(settings)
    why = f"; {out / 'manifest.csv'} says why" if result.failed else ""
    print(f"{result}{why}", flush=True)
    return out
