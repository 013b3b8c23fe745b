"""Train a voxel GAN: accelerate launch tools/train_voxels.py --config furniture_32."""

import torch

from gancore.parsing import parse_config, report_user_errors
from gancore.training.launch import create_accelerator, end_processes
from gancore.training.trainer import train_run
from voxgan.build import build_trainer
from voxgan.config import VoxelConfig
from voxgan.data.dataset import VoxelDataset, open_held_out


@report_user_errors
def main() -> None:
    config = parse_config(VoxelConfig)
    accelerator = create_accelerator(config.train)
    torch.manual_seed(config.train.seed)
    dataset = VoxelDataset(config.data, config.encoder, split="train")
    trainer = build_trainer(config, accelerator, dataset=dataset, held_out=open_held_out(config.data, config.encoder))
    accelerator.print(train_run(trainer, config))
    end_processes(accelerator)


if __name__ == "__main__":
    main()
