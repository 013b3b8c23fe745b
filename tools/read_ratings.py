"""Read what people chose on a rating page: python tools/read_ratings.py answers-*.json --key rate.key.json."""

from dataclasses import asdict

from gancore.parsing import parse_config, report_user_errors
from gancore.reporting.preference import RatingsConfig, format_preferences, read_ratings
from gancore.reporting.provenance import write_json


@report_user_errors
def main() -> None:
    config = parse_config(RatingsConfig, positional=["answers"])
    preferences = read_ratings(config.answers, key=config.key)
    print(format_preferences(preferences))
    if config.out:
        write_json({"preferences": [asdict(preference) for preference in preferences]}, config.out)


if __name__ == "__main__":
    main()
