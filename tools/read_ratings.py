"""Summarise the answers to a rating page: python tools/read_ratings.py answers-*.json --key rate.key.json."""

from vidvox.commands.ratings import main

if __name__ == "__main__":
    main()
