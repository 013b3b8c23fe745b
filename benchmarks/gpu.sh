#!/usr/bin/env bash
# One command for a machine with a GPU and without a network: tests, benchmark, trainings of recipes at a GPU's size.
#
#   benchmarks/gpu.sh          does what fits into MINUTES; called again, it goes on from where it stopped
#   benchmarks/gpu.sh STEP     does one step, even if it has been done: install, tests, benchmark-video,
#                              benchmark-voxels, or the name of a file in benchmarks/gpu
#
# Python 3.12 and PyTorch 2.11 or later are taken as they are. Packages that are missing there come as wheels; what an
# installation of PyTorch, pytest and the usual libraries of science lacks are as a rule av, beartype, dracopy, embreex,
# fast-simplification, libigl, manifold3d, pooch, pycollada and trimesh.
#
#   OUT      folder for results, files of at most 16 MB: logs and tables, and an archive of each training with its
#            weights, curves and samples, in parts if it is larger (build/gpu/out)
#   WORK     folder for what lasts from call to call: what was installed, what is done, run folders (build/gpu)
#   WHEELS   folder of wheels to install first; another folder may follow in another call (none)
#   MINUTES  after which nothing is begun any more, and a training is saved and stops (9)
#   FILMS    folder of films for the recipe predict_small, which is left out without it (none)
#   PYTHON   the interpreter (python3)
#   DRY=1    runs everything on the CPU at sizes of no use, to see that it runs
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
WORK=$(realpath -m "${WORK:-build/gpu}")
OUT=$(realpath -m "${OUT:-$WORK/out}")
PYTHON=${PYTHON:-python3} MINUTES=${MINUTES:-9} WHEELS=${WHEELS:-} FILMS=${FILMS:-} DRY=${DRY:-}
MAX_BYTES=16000000
STOPS_IN=40 # seconds that a training may take to save itself
mkdir -p "$WORK/done" "$WORK/runs" "$OUT"
export PYTHONPATH="$WORK/site:$PWD${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1

declare -A HALF=([moving_mnist_64]=video [predict_small]=video [furniture_32]=voxels [chairs_32]=voxels)
STEPS=(tests benchmark-video benchmark-voxels moving_mnist_64 furniture_32 chairs_32)
[ -z "$WHEELS" ] || STEPS=("install-$(basename "$WHEELS")" "${STEPS[@]}")
[ -z "$FILMS" ] || STEPS+=(predict_small)

seconds_left() { echo $((MINUTES * 60 - SECONDS)); }

# Runs a command until the time is up, and keeps what it prints.
within_time() {
    local log=$1
    shift
    timeout --signal=TERM --kill-after=$STOPS_IN "$(($(seconds_left) - STOPS_IN))" "$@" 2>&1 | tee "$log"
}

install_wheels() {
    "$PYTHON" -m pip install --quiet --no-index --no-deps --upgrade --target "$WORK/site" "$WHEELS"/*.whl
}

run_tests() {
    within_time "$OUT/tests.txt" "$PYTHON" -m pytest -m gpu -n 0 -rs --durations 5 -p no:cacheprovider tests/test_gpu.py
}

run_benchmark() {
    local flags=()
    [ -z "$DRY" ] || flags=(--cpu --repeats 1 --presets tiny)
    within_time "$OUT/benchmark-$1.md" "$PYTHON" -m vidvox benchmark "$1" "${flags[@]}"
}

# Trains a recipe with what benchmarks/gpu says of it, or goes on with it. Fails while it is not at its end.
run_training() {
    local name=$1 run="$WORK/runs/$1" flags=() status=0
    if [ "$name" = predict_small ]; then flags+=(--data.path "$FILMS"); fi
    if [ -n "$DRY" ]; then
        flags+=(--train.cpu --train.steps 2 --train.batch 2 --data.workers 0 --generator.base_channels 2
            --discriminator.base_channels 4 --train.precision fp32)
        [ "${HALF[$name]}" = voxels ] || flags+=(--data.height 32 --data.width 32 --data.clip_frames 14)
    fi
    within_time "$OUT/$name.txt" "$PYTHON" -m vidvox train "${HALF[$name]}" --config "${HALF[$name]}/$name" \
        --config "benchmarks/gpu/$name.yaml" --run "$run" "${flags[@]}" || status=$?
    if [ -f "$run/generator/model.safetensors" ]; then pack_run "$run" "$name"; fi
    if [ "$status" = 0 ]; then grep -q "^trained" "$OUT/$name.txt"; else return "$status"; fi
}

# Weights, curves and samples of a run, without checkpoints, in files that are not too large.
pack_run() {
    rm -f "$OUT/$2".tar.gz*
    tar --create --gzip --file "$WORK/$2.tar.gz" --directory "$1" --exclude='checkpoint-*' .
    split --bytes=$MAX_BYTES --numeric-suffixes --suffix-length=2 "$WORK/$2.tar.gz" "$OUT/$2.tar.gz."
    if [ ! -f "$OUT/$2.tar.gz.01" ]; then mv "$OUT/$2.tar.gz.00" "$OUT/$2.tar.gz"; fi
}

run_step() {
    case $1 in
    install*) install_wheels ;;
    tests) run_tests ;;
    benchmark-*) run_benchmark "${1#benchmark-}" ;;
    *) if [ -n "${HALF[$1]:-}" ]; then run_training "$1"; else echo "there is no step $1" >&2; return 2; fi ;;
    esac
}

if [ $# -gt 0 ]; then
    run_step "$1"
    exit
fi
failed=()
for step in "${STEPS[@]}"; do
    [ ! -f "$WORK/done/$step" ] || continue
    if [ "$(seconds_left)" -lt $((2 * STOPS_IN)) ]; then
        echo "the time is up before $step; call this again to go on"
        break
    fi
    echo "== $step"
    status=0
    run_step "$step" || status=$?
    if [ "$status" = 124 ]; then # out of time; what fails otherwise is not tried again
        echo "$step has to go on; call this again"
        break
    fi
    [ "$status" = 0 ] || failed+=("$step")
    echo "$status" > "$WORK/done/$step"
done
[ ${#failed[@]} = 0 ] || { echo "failed: ${failed[*]}"; exit 1; }
