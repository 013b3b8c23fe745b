"""Prepare a data set of objects: python tools/prepare_shapes.py FOLDER --out DATASET."""

from vidvox.commands.prepare import main

if __name__ == "__main__":
    main()
