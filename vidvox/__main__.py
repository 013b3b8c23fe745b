"""`python -m vidvox` is the command `vidvox`."""

from vidvox.cli import main

if __name__ == "__main__":
    main()
