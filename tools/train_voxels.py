"""Train a voxel GAN: accelerate launch tools/train_voxels.py --config configs/voxels/furniture_32.yaml."""

from pathlib import Path

import torch

from gancore.parsing import parse, user_errors
from gancore.training.launch import accelerator, finish
from gancore.training.trainer import Trainer, conduct
from voxgan.config import VoxelConfig, build_discriminator, build_generator, voxel_shape
from voxgan.data.dataset import VoxelDataset, collate, held_out
from voxgan.validation import Evaluation, Preview


@user_errors
def main() -> None:
    config = parse(VoxelConfig)
    processes = accelerator(config.train)
    torch.manual_seed(config.train.seed)
    train_set = VoxelDataset(config.data, config.encoder, split="train")
    unseen = held_out(config.data, config.encoder)
    shape = voxel_shape(config, side=train_set.side, classes=train_set.classes)
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
        preview=Preview(dataset=unseen),
        evaluation=Evaluation(dataset=unseen, pictures=config.encoder.kind != "none") if unseen else None,
        accelerator=processes,
    )
    processes.print(conduct(trainer, config))
    finish(processes)


if __name__ == "__main__":
    main()
