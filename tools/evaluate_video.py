"""Measure a predictor on held-out clips: python tools/evaluate_video.py --model runs/NAME/generator --out r.json."""

import sys
from pathlib import Path

from gancore.config import parse, user_errors
from vidgan.evaluate import EvaluateConfig, behind_run_settings, evaluate, summary, write


@user_errors
def main() -> None:
    with behind_run_settings(sys.argv[1:]) as flags:
        config = parse(EvaluateConfig, flags)
    if config.out:
        Path(config.out).parent.mkdir(parents=True, exist_ok=True)  # better now than after minutes of work
    report = evaluate(config)
    print(summary(report))
    if config.out:
        write(report, config.out)


if __name__ == "__main__":
    main()
