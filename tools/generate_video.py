"""Make clips from noise: python tools/generate_video.py --model runs/NAME/generator --out samples.mp4."""

from gancore.parsing import parse_config, report_user_errors
from vidgan.generate import GenerateConfig, generate, write_samples


@report_user_errors
def main() -> None:
    config = parse_config(GenerateConfig)
    clips = generate(config)
    write_samples(clips, config)
    print(f"{len(clips)} clips of {clips.shape[1]} frames: {config.out}")


if __name__ == "__main__":
    main()
