"""Train a video GAN: accelerate launch tools/train_video.py --config folder_64 --data.path VIDEOS."""

from gancore.parsing import parse_config, report_user_errors
from vidgan.config import VideoConfig
from vidvox.recipes import find_recipes
from vidvox.train import train_video


@report_user_errors
def main() -> None:
    train_video(parse_config(VideoConfig, recipes=find_recipes("video")))


if __name__ == "__main__":
    main()
