"""vidvox mesh: reconstructs a mesh of the object in pictures."""

from collections.abc import Sequence

from gancore.files.outputs import check_outputs
from gancore.model_files import list_model_inputs
from gancore.parsing import parse_config, report_user_errors
from vidvox.commands.inputs import require_file
from vidvox.kinds import require_kind
from voxgan.commands import ExportConfig, list_outputs

MAIN_KEYS = ("out", "preview", "size_mm", "threshold", "seed", "cpu", "overwrite")
"""Settings of ExportConfig that --help shows for `mesh` and for `generate`."""


@report_user_errors
def main(argv: Sequence[str] | None = None, *, prog: str = "") -> None:
    """Reconstruct meshes of the objects in pictures."""
    config = parse_config(
        ExportConfig,
        argv,
        prog=prog,
        positional=["images"],
        main=[*MAIN_KEYS, "grouping", "masks", "posterior_samples", "class"],
        examples="""
            vidvox mesh chair.png -o chair.glb --preview chair.mp4
            vidvox mesh front.png side.png -m runs/shapes -o chair.stl --size_mm 80
            vidvox mesh a.png b.png c.png --grouping each -m user/name -o objects/object.obj
        """,
    )
    if prog and not config.images:
        raise ValueError("IMAGES is required: pictures of an object; vidvox generate makes objects from noise")
    check_files(config)
    require_kind(config.model, *(["ImageToVoxels"] if config.images else ["ImageToVoxels", "VoxelGenerator"]))
    export(config)


def check_files(config: ExportConfig) -> None:
    """Raise FileNotFoundError if an input is missing, ValueError if an output may not be written."""
    for path in (*config.images, *config.masks, *config.latent_files):
        require_file(path)
    check_outputs(
        list_outputs(config),
        inputs=[*config.images, *config.masks, *config.latent_files, *list_model_inputs(config.model)],
        overwrite=config.overwrite,
        are_files=True,
    )


def export(config: ExportConfig) -> None:
    """Write the meshes, and print the file, number of faces and size of each."""
    from voxgan.export import describe_export, export_meshes

    for exported in export_meshes(config):
        print(describe_export(exported, size_mm=config.size_mm))
