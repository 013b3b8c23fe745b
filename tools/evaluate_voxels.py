"""Measure reconstruction: python tools/evaluate_voxels.py --model runs/NAME/generator --data furniture --out r.json."""

from pathlib import Path

from gancore.config import parse, user_errors
from voxgan.evaluate import EvaluateConfig, evaluate, summary, write


@user_errors
def main() -> None:
    config = parse(EvaluateConfig)
    if config.out:
        Path(config.out).parent.mkdir(parents=True, exist_ok=True)  # better now than after minutes of work
    report = evaluate(config)
    print(summary(report))
    if config.out:
        write(report, config.out)


if __name__ == "__main__":
    main()
