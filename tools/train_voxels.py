"""Train a voxel GAN: accelerate launch tools/train_voxels.py --config furniture_32."""

import torch

from gancore.parsing import parse_config, report_user_errors
from gancore.training.launch import create_accelerator, end_processes
from gancore.training.trainer import train_run
from voxgan.build import build_trainer, picture_spec
from voxgan.config import VoxelConfig
from voxgan.data.dataset import VoxelDataset, open_held_out


@report_user_errors
def main() -> None:
    config = parse_config(VoxelConfig)
    accelerator = create_accelerator(config.train)
    torch.manual_seed(config.train.seed)
    pictures = picture_spec(config.encoder)
    dataset = VoxelDataset(config.data, pictures, split="train")
    trainer = build_trainer(config, accelerator, dataset=dataset, held_out=open_held_out(config.data, pictures))
    accelerator.print(train_run(trainer, config))
    end_processes(accelerator)


if __name__ == "__main__":
    main()
