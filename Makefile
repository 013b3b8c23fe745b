# `make demo` and `make test` set up all they need in .venv; nothing is installed again until pyproject.toml changes.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup demo test lint clean

setup: .venv/.installed

.venv/.installed: pyproject.toml
	test -d .venv || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@

# Two OpenMP threads that spin while they wait are ten times slower beside any other busy process.
demo: export GOMP_SPINCOUNT = 1000
demo: setup
	rm -rf demo
	$(BIN)/accelerate launch --num_processes 1 --num_machines 1 --mixed_precision no --dynamo_backend no \
		tools/train_video.py --config configs/video/demo.yaml
	$(BIN)/python tools/predict_video.py vidgan/assets/pedestrians.mp4 --model demo/run/generator --size 120x160 \
		--compare --out demo/future.mp4
	$(BIN)/python tools/predict_video.py vidgan/assets/pedestrians.mp4 --model demo/run/generator --size 120x160 \
		--compare --out demo/future.png
	$(BIN)/accelerate launch --num_processes 1 --num_machines 1 --mixed_precision no --dynamo_backend no \
		tools/train_voxels.py --config configs/voxels/demo.yaml
	$(BIN)/python tools/export_mesh.py voxgan/assets/chair.png --model demo/voxels/generator --threshold 0.4 \
		--out demo/object.glb --preview demo/object.mp4
	$(BIN)/python tools/export_mesh.py voxgan/assets/chair.png --model demo/voxels/generator --threshold 0.4 \
		--out demo/object.stl --size-mm 100 --preview demo/object.png

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(BIN)/pytest

clean:
	rm -rf .venv build *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
