"""Measure a model or another tool's clips: python tools/evaluate_video.py --model runs/NAME/generator --out FOLDER."""

import sys
from pathlib import Path

from gancore.parsing import parse_config, report_user_errors
from vidgan.evaluation.evaluate import EvaluateConfig, behind_run_settings, evaluate, open_trials
from vidgan.evaluation.examples import write_preference_pairs
from vidgan.evaluation.report import format_summary, write_report


@report_user_errors
def main() -> None:
    with behind_run_settings(sys.argv[1:]) as flags:
        config = parse_config(EvaluateConfig, flags)
    for folder in (config.out, config.rating_page and Path(config.rating_page).parent):
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)  # better now than after minutes of work
    trials = open_trials(config)
    report = evaluate(config, trials)
    if config.out:
        write_report(report, trials, config)  # before anything is printed, which a closed pipe would cut short
    print(format_summary(report))
    if config.rating_page:
        key = write_preference_pairs(trials, config)
        print(f"\n{config.rating_page} asks people; its key, which they are not to see, is {key}")


if __name__ == "__main__":
    main()
