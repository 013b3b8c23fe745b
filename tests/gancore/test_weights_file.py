"""Files of weights that are damaged, hostile or of another model are refused in one line, before memory is taken."""

import json
import pickle
import resource
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from support.tiny_model import Model, model, x

from gancore.errors import ArchitectureError, UnreadableError
from gancore.weights_file import read_header

READING = r"cannot read .*model\.safetensors as the weights of a model: "


@pytest.fixture
def saved(tmp_path) -> Path:
    model().save_pretrained(tmp_path / "generator")
    return tmp_path / "generator"


def split(file: Path) -> tuple[dict, bytes]:
    """The header and the data of a file of weights."""
    content = file.read_bytes()
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def join(file: Path, header: dict | bytes, data: bytes, *, length: int | None = None) -> None:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    file.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text + data)


@pytest.mark.parametrize(
    "values",
    [
        {"data_offsets": [0, 16]},
        {"data_offsets": [10**9, 10**9 + 16]},
        {"data_offsets": [16, 0]},
        {"data_offsets": [-16, 0]},
        {"data_offsets": [0, 2**64]},
        {"shape": [2**62, 2**62]},
        {"shape": [-4]},
        {"shape": [3]},
        {"dtype": "OBJECT"},
        {"dtype": "F64"},
    ],
)
def test_an_entry_of_the_header_that_does_not_fit_the_file_is_one_line(saved, values):
    file = saved / "model.safetensors"
    header, data = split(file)
    join(file, header | {"norm.bias": header["norm.bias"] | values}, data)
    with pytest.raises(UnreadableError, match=READING):
        Model.from_pretrained(saved)


@pytest.mark.parametrize("header", [b"", b"{", b"[]", b"null", b"[" * 100_000, b'{"a\xff": {}}', b'{"a": 1, "a": 2}'])
def test_a_header_that_is_no_header_is_one_line(saved, header):
    file = saved / "model.safetensors"
    join(file, header, split(file)[1])
    with pytest.raises(UnreadableError, match=READING) as raised:
        Model.from_pretrained(saved)
    assert len(str(raised.value)) < 500


@pytest.mark.parametrize("change", [lambda data: data[:-4], lambda data: data + b"more", lambda _: b""])
def test_weights_that_are_fewer_or_more_than_the_header_says_are_refused(saved, change):
    file = saved / "model.safetensors"
    header, data = split(file)
    join(file, header, change(data))
    with pytest.raises(UnreadableError, match=READING):
        Model.from_pretrained(saved)


@pytest.mark.parametrize("length", [0, 7, 2**24 + 1, 2**40, 2**64 - 1])
def test_a_header_that_lies_about_its_length_is_refused_without_memory_for_it(saved, length):
    file = saved / "model.safetensors"
    join(file, *split(file), length=length)
    with pytest.raises(UnreadableError, match=READING):
        Model.from_pretrained(saved)


def test_a_header_of_hundreds_of_megabytes_is_not_read(saved):
    file = saved / "model.safetensors"
    with file.open("wb") as sparse:
        sparse.write((2**29).to_bytes(8, "little"))
        sparse.truncate(2**30)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UnreadableError, match="its header would have 536,870,912 bytes"):
        Model.from_pretrained(saved)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


class Payload:
    def __reduce__(self):
        return Path.touch, (Path("executed"),)


def test_a_pickle_of_this_name_is_not_opened(saved, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"a": torch.ones(2)}, "weights.pt")
    for content in (pickle.dumps(Payload()), Path("weights.pt").read_bytes()):
        (saved / "model.safetensors").write_bytes(content)
        with pytest.raises(UnreadableError, match="no safetensors file"):
            Model.from_pretrained(saved)
    assert not Path("executed").exists()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_refused(saved, value):
    weights = load_file(saved / "model.safetensors")
    weights["norm.bias"][1] = value
    save_file(weights, saved / "model.safetensors")
    with pytest.raises(ValueError, match=r"1 of 11 weights are NaN or infinite, such as norm\.bias"):
        Model.from_pretrained(saved)


def test_numbers_too_large_for_the_model_are_not_finite_either(saved):
    weights = load_file(saved / "model.safetensors")
    weights["norm.bias"] = weights["norm.bias"].double() + 1e300
    save_file(weights, saved / "model.safetensors")
    with pytest.raises(ValueError, match="NaN or infinite"):
        Model.from_pretrained(saved)


@pytest.mark.parametrize("dtype", [torch.int32, torch.bool, torch.complex64, torch.float8_e4m3fn])
def test_weights_of_another_type_are_refused(saved, dtype):
    weights = load_file(saved / "model.safetensors")
    weights["norm.bias"] = weights["norm.bias"].to(dtype)
    save_file(weights, saved / "model.safetensors")
    with pytest.raises(ArchitectureError, match=r"norm\.bias is of type"):
        Model.from_pretrained(saved)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_floats_of_another_size_are_read(saved, dtype):
    weights = load_file(saved / "model.safetensors")
    save_file(
        {name: w.to(dtype) if w.is_floating_point() else w for name, w in weights.items()}, saved / "model.safetensors"
    )
    loaded = Model.from_pretrained(saved)
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}
    assert torch.allclose(loaded(x()), model().eval()(x()), atol=0.1)


def test_missing_and_further_weights_are_named(saved):
    weights = load_file(saved / "model.safetensors")
    weights["extra"] = weights.pop("norm.bias")
    save_file(weights, saved / "model.safetensors")
    with pytest.raises(ArchitectureError, match=r"missing: norm\.bias; unexpected: extra"):
        Model.from_pretrained(saved)


@pytest.mark.parametrize(
    ("shape", "depth", "complaint"),
    [
        ({"width": 10**6}, {}, "layers.0.bias is 4 and should be 1000000"),
        ({"width": 10**9, "sides": [10**4, 10**4]}, {}, "does not describe a Model|another architecture"),
        ({"width": 2**62}, {}, "does not describe a Model"),
        ({"width": -4}, {}, "does not describe a Model"),
        ({"width": 0}, {}, "does not describe a Model|another architecture"),
        ({}, {"layers": 10**12}, "describes a model of many more weights than the 11 stored"),
        ({"width": 10**30}, {}, "width should be int, not 1000000000000000000000000000000"),
        ({"width": float("inf")}, {}, "width should be int, not inf"),
        ({"sides": [3] * 100_000}, {}, "does not describe a Model|another architecture"),
    ],
)
def test_a_strangers_settings_are_held_against_the_header_before_memory_is_taken(saved, shape, depth, complaint):
    config = json.loads((saved / "config.json").read_text())
    config["shape"] |= shape
    config["depth"] |= depth
    (saved / "config.json").write_text(json.dumps(config))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match=complaint) as raised:
        Model.from_pretrained(saved)
    assert len(str(raised.value)) < 1000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


BROKEN = ['{"model": "Model", "model": "Other"}', "[" * 10_000, f'{{"model": {"9" * 10_000}}}', '{"model": 3}', "[1]"]


@pytest.mark.parametrize("content", [*BROKEN, "\udc80"])
def test_settings_of_a_model_that_are_broken_are_one_line(saved, content):
    (saved / "config.json").write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(ValueError, match="generator holds no model that can be read: ") as raised:
        Model.from_pretrained(saved)
    assert len(str(raised.value)) < 600


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.lists(st.tuples(st.integers(0, 1200), st.integers(0, 2), st.binary(max_size=2)), min_size=1, max_size=6)
)
def test_a_mutated_file_of_weights_is_read_or_refused_in_one_line(saved, changes):
    content = bytearray((saved / "model.safetensors").read_bytes())
    for place, length, piece in changes:
        content[place : place + length] = piece
    path = saved.parent / "mutated.safetensors"
    path.write_bytes(content)
    with suppress(UnreadableError):
        read_header(path)
