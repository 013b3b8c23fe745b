"""Programs of others that judge the files that are written: the glTF validator, lib3mf and ffprobe."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

VALIDATOR = Path(__file__).resolve().parents[2] / "build/judges/node_modules/gltf-validator"
"""Where `make judges` puts the validator of the Khronos Group."""
SCRIPT = """
const [validator, path] = process.argv.slice(1);
require(validator).validateBytes(new Uint8Array(require('fs').readFileSync(path)), {maxIssues: 20})
    .then((report) => console.log(JSON.stringify(report)));
"""


def judge_gltf(path: Path) -> dict[str, Any]:
    """The number of issues of each severity that the glTF validator finds, and the messages."""
    node = shutil.which("node")
    if node is None or not VALIDATOR.is_dir():
        pytest.skip("there is no glTF validator: run make judges, which needs npm")
    done = subprocess.run([node, "-e", SCRIPT, VALIDATOR, path], capture_output=True, text=True, timeout=60, check=True)
    return json.loads(done.stdout)["issues"]


def judge_3mf(path: Path) -> tuple[Any, list[str]]:
    """The model that lib3mf reads in strict mode, and its warnings."""
    lib3mf = pytest.importorskip("lib3mf", reason="there is no lib3mf")
    model = lib3mf.get_wrapper().CreateModel()
    reader = model.QueryReader("3mf")
    reader.SetStrictModeActive(True)
    reader.ReadFromFile(str(path))
    return model, [reader.GetWarning(number)[1] for number in range(reader.GetWarningCount())]


def judge_film(path: Path) -> tuple[dict[str, Any], str]:
    """What ffprobe says of the only stream of a film after decoding all of it, and its complaints."""
    program = shutil.which("ffprobe")
    if program is None:
        pytest.skip("there is no ffprobe")
    flags = ["-v", "warning", "-count_frames", "-show_streams", "-of", "json"]
    done = subprocess.run([program, *flags, path], capture_output=True, text=True, timeout=60, check=True)
    (stream,) = json.loads(done.stdout)["streams"]
    return stream, done.stderr
