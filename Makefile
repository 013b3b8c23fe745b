# `make demo` and `make test` set up all they need in .venv; nothing is installed again until pyproject.toml changes.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup demo bench browser judges weights test faults lint docs clean

setup: .venv/.installed

.venv/.installed: pyproject.toml
	test -d .venv || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@

# Two OpenMP threads that spin while they wait are ten times slower beside any other busy process.
demo: export GOMP_SPINCOUNT = 1000
demo: setup
	rm -rf demo
	$(BIN)/vidvox predict vidgan/assets/pedestrians.mp4 --size 120x160 --samples 4 --compare -o demo/future.mp4
	$(BIN)/vidvox predict vidgan/assets/pedestrians.mp4 --size 120x160 --samples 4 --compare -o demo/future.png
	$(BIN)/vidvox train video --config video/demo
	$(BIN)/vidvox evaluate vidvox/predict-small --data.path pedestrians --data.split_by time --data.height 120 \
		--data.width 160 --data.context_frames 5 --data.clip_frames 15 --networks none --samples 2 -o demo/report
	$(BIN)/vidvox mesh voxgan/assets/chair.png --preview demo/object.mp4 --preview_size 192 \
		-o demo/object.glb
	$(BIN)/vidvox mesh voxgan/assets/chair.png voxgan/assets/chair-left.png voxgan/assets/chair-back.png \
		--preview demo/three-pictures.png -o demo/three-pictures.glb
	$(BIN)/vidvox generate --class chair -n 4 --truncation 1 --preview demo/chairs.png --preview_size 128 \
		-o demo/chair.glb

# What training, prediction, reading, meshing and metrics cost here, beside what else could be used.
bench: setup
	$(BIN)/vidvox benchmark peers -o bench/peers.json
	$(BIN)/vidvox benchmark metrics -o bench/metrics.json

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The site is build/site/index.html.
docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

# The tests look at pages in a real browser, and skip that where there is none and none can be had.
browser:
	@for name in "$$CHROME" chromium chromium-browser google-chrome google-chrome-stable chrome; do \
		if command -v "$$name" > /dev/null; then exit 0; fi; \
	done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
		echo "installing chromium, for the tests to look at pages"; \
		{ timeout 600 apt-get -qq update && DEBIAN_FRONTEND=noninteractive timeout 600 apt-get -qq install -y \
			--no-install-recommends chromium fonts-liberation; } > /dev/null 2>&1 && exit 0; \
	fi; \
	echo "there is no browser: tests that look at pages will be skipped"

# The tests have glTF files judged by the Khronos validator, and skip that where it cannot be had.
judges:
	@test -d build/judges/node_modules/gltf-validator || \
		timeout 300 npm install --silent --no-audit --no-fund --prefix build/judges gltf-validator@2.0.0-dev.3.10 \
		> /dev/null 2>&1 || echo "there is no glTF validator: tests that ask it will be skipped"

# Tests that need published weights skip where they cannot be had.
weights: setup
	-@$(BIN)/vidvox fetch i3d transnet efficientnet lpips

test: lint browser judges weights
	$(BIN)/pytest -m 'not long and not faults'

# An hour or two of kills, full disks, damaged and hostile files. PART=kills, disks, damage, processes, fuzz or soak runs
# that part alone; the table shows what has been run, from build/faults. FLAGS=--soak-minutes=5 is for the impatient.
faults: setup
	@failed=0; \
	$(BIN)/pytest -m faults $(if $(PART),tests/faults/test_$(PART).py,tests/faults) $(FLAGS) || failed=1; \
	$(BIN)/python tests/faults/campaign.py || failed=1; \
	exit $$failed

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
