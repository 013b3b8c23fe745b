"""Generate clips from noise: python tools/generate_video.py --model runs/NAME --out samples.mp4."""

from vidvox.commands.generate import generate_clips

if __name__ == "__main__":
    generate_clips()
