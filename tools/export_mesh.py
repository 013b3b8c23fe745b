"""Turn pictures into meshes: python tools/export_mesh.py chair.png --model runs/NAME --out chair.glb."""

from vidvox.commands.mesh import main

if __name__ == "__main__":
    main()
