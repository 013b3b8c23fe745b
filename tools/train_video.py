"""Train a video GAN: accelerate launch tools/train_video.py --config configs/video/folder_64.yaml --data.source DIR."""

from functools import partial
from pathlib import Path

import torch

from gancore.parsing import parse, user_errors
from gancore.training.launch import accelerator, finish
from gancore.training.trainer import Trainer, conduct
from vidgan.config import VideoConfig, build_discriminator, build_generator
from vidgan.data.dataset import collate, open_dataset
from vidgan.validation import Evaluation, Preview


@user_errors
def main() -> None:
    config = parse(VideoConfig)
    processes = accelerator(config.train)
    torch.manual_seed(config.train.seed)
    train_set = open_dataset(config.data, train=True)
    held_out = open_dataset(config.data, train=False)
    run = Path(config.run)
    run.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(
        run,
        config.train,
        generator=build_generator(config, classes=len(train_set.classes)),
        discriminator=build_discriminator(config, classes=len(train_set.classes)),
        objective=config.objective,
        dataset=train_set,
        collate=partial(collate, context=config.data.context),
        workers=config.data.workers,
        held_out=held_out,
        preview=Preview(dataset=held_out, context=config.data.context),
        evaluation=Evaluation(dataset=held_out, context=config.data.context),
        accelerator=processes,
    )
    processes.print(conduct(trainer, config))
    finish(processes)


if __name__ == "__main__":
    main()
