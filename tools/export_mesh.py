"""Turn pictures into meshes: python tools/export_mesh.py chair.png --model runs/NAME/generator --out chair.glb."""

from gancore.parsing import parse_config, report_user_errors
from voxgan.commands import ExportConfig
from voxgan.export import describe_export, export_meshes


@report_user_errors
def main() -> None:
    config = parse_config(ExportConfig, positional=["images"])
    for exported in export_meshes(config):
        print(describe_export(exported, size_mm=config.size_mm))


if __name__ == "__main__":
    main()
