"""Train a voxel GAN: accelerate launch tools/train_voxels.py --config furniture_32 --data.path DATASET."""

from gancore.parsing import parse_config, report_user_errors
from vidvox.recipes import find_recipes
from vidvox.train import train_voxels
from voxgan.config import VoxelConfig


@report_user_errors
def main() -> None:
    train_voxels(parse_config(VoxelConfig, recipes=find_recipes("voxels")))


if __name__ == "__main__":
    main()
