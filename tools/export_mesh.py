"""Turn pictures into meshes: python tools/export_mesh.py chair.png --model runs/NAME/generator --out chair.glb."""

from gancore.parsing import parse, user_errors
from voxgan.export import ExportConfig, export, summary


@user_errors
def main() -> None:
    config = parse(ExportConfig, positional=["images"])
    for exported in export(config):
        print(summary(exported, size_mm=config.size_mm))


if __name__ == "__main__":
    main()
