"""Get the published weights that metrics need: python tools/fetch_weights.py i3d transnet efficientnet."""

from vidvox.commands.fetch import main

if __name__ == "__main__":
    main()
