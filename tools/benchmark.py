"""Measure speed and memory on this machine: python tools/benchmark.py video (or voxels, metrics, ...)."""

from vidvox.commands.benchmark import main

if __name__ == "__main__":
    main()
