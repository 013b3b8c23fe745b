"""Measure a model or another tool's clips: python tools/evaluate_video.py --model runs/NAME --out FOLDER."""

from vidvox.commands.evaluate import evaluate_video

if __name__ == "__main__":
    evaluate_video()
