"""Measure objects: python tools/evaluate_voxels.py --model runs/NAME/generator --data furniture --out REPORT."""

from pathlib import Path

from gancore.parsing import parse, user_errors
from voxgan.evaluation.evaluate import EvaluateConfig, evaluate
from voxgan.evaluation.report import summary, write


@user_errors
def main() -> None:
    config = parse(EvaluateConfig)
    for folder in filter(None, (config.out, str(Path(config.rate).parent))):
        Path(folder).mkdir(parents=True, exist_ok=True)  # better now than after minutes of work
    done = evaluate(config)
    written = write(done, config)  # before anything is printed, which a closed pipe would cut short
    print(summary(done.report))
    for path in written:
        print(path)


if __name__ == "__main__":
    main()
