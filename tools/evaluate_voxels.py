"""Measure objects: python tools/evaluate_voxels.py --model runs/NAME --data furniture --out REPORT."""

from vidvox.commands.evaluate import evaluate_voxels

if __name__ == "__main__":
    evaluate_voxels()
