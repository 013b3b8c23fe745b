"""Predict how a clip continues: python tools/predict_video.py clip.mp4 --model runs/NAME --out future.mp4."""

from vidvox.commands.predict import main

if __name__ == "__main__":
    main()
