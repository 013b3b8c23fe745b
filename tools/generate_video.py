"""Generate clips from noise: python tools/generate_video.py --model runs/NAME --out samples.mp4."""

from gancore.parsing import parse_config, report_user_errors
from vidgan.commands import GenerateConfig
from vidgan.generate import generate, write_samples


@report_user_errors
def main() -> None:
    config = parse_config(GenerateConfig)
    clips = generate(config)
    write_samples(clips, config.out, rate=config.rate)
    print(f"{len(clips.frames)} clips of {clips.frames.shape[1]} frames: {config.out}")


if __name__ == "__main__":
    main()
