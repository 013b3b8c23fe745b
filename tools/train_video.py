"""Train a video GAN: accelerate launch tools/train_video.py --config folder_64 --data.path VIDEOS."""

import torch

from gancore.parsing import parse_config, report_user_errors
from gancore.training.launch import create_accelerator, end_processes
from gancore.training.trainer import train_run
from vidgan.build import build_trainer
from vidgan.config import VideoConfig
from vidgan.data.dataset import open_dataset


@report_user_errors
def main() -> None:
    config = parse_config(VideoConfig)
    accelerator = create_accelerator(config.train)
    torch.manual_seed(config.train.seed)
    dataset, held_out = (open_dataset(config.data, train=train) for train in (True, False))
    trainer = build_trainer(config, accelerator, dataset=dataset, held_out=held_out)
    accelerator.print(train_run(trainer, config))
    end_processes(accelerator)


if __name__ == "__main__":
    main()
