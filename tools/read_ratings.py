"""Read what people chose on a rating page: python tools/read_ratings.py answers-*.json --key rate.key.json."""

from dataclasses import asdict

from gancore.parsing import parse, user_errors
from gancore.reporting.preference import RatingsConfig, read_ratings, summary
from gancore.reporting.provenance import write_json


@user_errors
def main() -> None:
    config = parse(RatingsConfig, positional=["answers"])
    preferences = read_ratings(config.answers, key=config.key)
    print(summary(preferences))
    if config.out:
        write_json({"preferences": [asdict(preference) for preference in preferences]}, config.out)


if __name__ == "__main__":
    main()
