"""Train a video GAN: accelerate launch tools/train_video.py --config configs/video/folder_64.yaml --data.path DIR."""

from functools import partial
from pathlib import Path

import torch

from gancore.parsing import parse_config, report_user_errors
from gancore.training.launch import create_accelerator, end_processes
from gancore.training.trainer import Trainer, train_run
from vidgan.config import VideoConfig, build_discriminator, build_generator
from vidgan.data.dataset import collate, open_dataset
from vidgan.validation import VideoEvaluation, VideoPreview


@report_user_errors
def main() -> None:
    config = parse_config(VideoConfig)
    processes = create_accelerator(config.train)
    torch.manual_seed(config.train.seed)
    train_set = open_dataset(config.data, train=True)
    held_out = open_dataset(config.data, train=False)
    run = Path(config.run)
    run.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(
        run,
        config.train,
        generator=build_generator(config, classes=train_set.classes),
        discriminator=build_discriminator(config, classes=len(train_set.classes)),
        objective=config.objective,
        dataset=train_set,
        collate=partial(collate, context_frames=config.data.context_frames),
        workers=config.data.workers,
        held_out=held_out,
        preview=VideoPreview(dataset=held_out, context_frames=config.data.context_frames),
        evaluator=VideoEvaluation(dataset=held_out, context_frames=config.data.context_frames),
        accelerator=processes,
    )
    processes.print(train_run(trainer, config))
    end_processes(processes)


if __name__ == "__main__":
    main()
