"""Train a voxel GAN: accelerate launch tools/train_voxels.py --config configs/voxels/furniture_32.yaml."""

from pathlib import Path

import torch

from gancore.parsing import parse_config, report_user_errors
from gancore.training.launch import create_accelerator, end_processes
from gancore.training.trainer import Trainer, train_run
from voxgan.config import VoxelConfig, build_discriminator, build_generator, build_shape, picture_spec
from voxgan.data.dataset import VoxelDataset, collate, open_held_out
from voxgan.validation import VoxelPreview, VoxelValidation


@report_user_errors
def main() -> None:
    config = parse_config(VoxelConfig)
    processes = create_accelerator(config.train)
    torch.manual_seed(config.train.seed)
    pictures = picture_spec(config.encoder)
    train_set = VoxelDataset(config.data, pictures, split="train")
    unseen = open_held_out(config.data, pictures)
    shape = build_shape(config, side=train_set.side, classes=train_set.classes)
    run = Path(config.run)
    run.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(
        run,
        config.train,
        generator=build_generator(config, shape),
        discriminator=build_discriminator(config, shape),
        objective=config.objective,
        dataset=train_set,
        collate=collate,
        workers=config.data.workers,
        held_out=unseen,
        preview=VoxelPreview(dataset=unseen),
        evaluator=VoxelValidation(dataset=unseen, from_images=config.encoder.kind != "none") if unseen else None,
        accelerator=processes,
    )
    processes.print(train_run(trainer, config))
    end_processes(processes)


if __name__ == "__main__":
    main()
