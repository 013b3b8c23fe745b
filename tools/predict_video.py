"""Predict how a clip continues: python tools/predict_video.py clip.mp4 --model runs/NAME --out future.mp4."""

from gancore.parsing import parse_config, report_user_errors
from vidgan.commands import PredictConfig
from vidgan.predict import format_comparison, predict, write_prediction


@report_user_errors
def main() -> None:
    config = parse_config(PredictConfig, positional=["clip"])
    prediction = predict(config)
    write_prediction(prediction, config.out)
    if config.compare:
        print(format_comparison(prediction))
    samples, steps = prediction.futures.shape[:2]
    print(f"{steps} frames, {samples} {'future' if samples == 1 else 'futures'}: {config.out}")


if __name__ == "__main__":
    main()
