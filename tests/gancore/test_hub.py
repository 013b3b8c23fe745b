"""A model that was saved is the same model when it is loaded, and anything else is refused by name."""

import json
import os
import re
import socket
import time
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from support.tiny_model import Depth, Model, Other, Shape, model, x
from torch import nn
from torch.nn.utils import parametrize

from gancore import hub, model_files
from gancore.errors import UnwritableError
from gancore.files import atomic
from gancore.hub import HubModel, find_model
from gancore.layers import iter_weight_layers, spectral_norm_
from gancore.model_files import MODEL_FORMAT
from gancore.weights_file import read_header


@pytest.fixture
def saved(tmp_path) -> Path:
    model().save_pretrained(tmp_path / "generator")
    return tmp_path / "generator"


@pytest.fixture
def _no_network(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


def test_a_saved_model_is_the_same_when_loaded(saved):
    loaded = Model.from_pretrained(saved)
    assert not loaded.training
    assert loaded.configs == (Shape(sides=(3, 1)), Depth(layers=3))
    assert torch.equal(loaded(x()), model().eval()(x()))
    assert {parameter.device.type for parameter in loaded.parameters()} == {"cpu"}


@pytest.mark.parametrize("spectral", [False, True])
def test_a_model_starts_from_another_of_the_same_networks(saved, spectral):
    started = Model(Shape(sides=(3, 1)), Depth(layers=3))
    if spectral:
        spectral_norm_(started)
    before = dict(started.named_parameters())
    started.start_from(saved)
    assert dict(started.named_parameters()).items() == before.items()  # an optimizer holds them already
    expected = Model.from_pretrained(saved)
    if spectral:
        spectral_norm_(expected)
    torch.testing.assert_close(started.eval()(x()), expected(x()), atol=0.05, rtol=0.05)  # estimates


def test_a_model_starts_from_no_other_networks(saved, tmp_path):
    before = Model(Shape(sides=(1, 3)), Depth(layers=3))
    with pytest.raises(ValueError, match=r"are others: sides is 3,1 and not 1,3$"):
        before.start_from(saved)
    with pytest.raises(ValueError, match=r"is for other data: layers is 3 and not 2$"):
        Model(Shape(sides=(3, 1)), Depth(layers=2)).start_from(saved)
    with pytest.raises(ValueError, match="holds a Model; Other is needed"):
        Other(Shape()).start_from(saved)
    with pytest.raises(ValueError, match="neither a folder"):
        before.start_from(tmp_path / "nothing")


@pytest.mark.usefixtures("_no_network")
def test_models_of_the_package_are_found_by_name_without_a_network(saved, tmp_path, monkeypatch):
    package = tmp_path / "site" / "bundle"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('must not be imported')")
    model().save_pretrained(package / "weights" / "small")
    monkeypatch.syspath_prepend(package.parent)
    monkeypatch.setattr(model_files, "BUNDLED_USER", "bundle")
    assert model_files.find_bundled_models() == {"bundle/small": package / "weights" / "small"}
    assert torch.equal(Model.from_pretrained("bundle/small")(x()), Model.from_pretrained(saved)(x()))
    with pytest.raises(ValueError, match=r"bundle/other is neither .*; with the package come bundle/small$"):
        Model.from_pretrained("bundle/other")
    monkeypatch.chdir(tmp_path)
    Model(Shape(), Depth()).save_pretrained(tmp_path / "bundle" / "small")  # a folder here is meant first
    assert Model.from_pretrained("bundle/small").configs == (Shape(), Depth())
    monkeypatch.setattr(model_files, "BUNDLED_USER", "nobody_has_this")
    assert model_files.find_bundled_models() == {}


def test_a_folder_may_be_given_as_text(saved):
    assert torch.equal(Model.from_pretrained(str(saved))(x()), Model.from_pretrained(saved)(x()))


def test_a_saved_model_is_readable_settings_and_weights_without_pickle(saved):
    assert sorted(path.name for path in saved.iterdir()) == ["config.json", "model.safetensors"]
    config = json.loads((saved / "config.json").read_text())
    assert config.pop("vidvox")
    assert config == {
        "model": "Model",
        "format": MODEL_FORMAT,
        "shape": {"width": 4, "sides": [3, 1]},
        "depth": {"layers": 3},
    }
    length = int.from_bytes((saved / "model.safetensors").read_bytes()[:8], "little")
    header = json.loads((saved / "model.safetensors").read_bytes()[8 : 8 + length])
    assert header["layers.0.weight"]["shape"] == [4, 4, 3, 1]


@pytest.mark.parametrize(("format_", "writer"), [(None, None), (0, "0.0.1"), (99, "9.9")])
def test_a_model_of_another_format_is_one_line_that_says_who_wrote_it(saved, format_, writer):
    config = json.loads((saved / "config.json").read_text())
    own = {name: value for name, value in config.items() if name not in ("format", "vidvox")}
    (saved / "config.json").write_text(
        json.dumps(own | ({} if writer is None else {"format": format_, "vidvox": writer}))
    )
    message = f"config.json has format {format_ or 0}, written by vidvox {writer or '0.1'}; this version reads format"
    with pytest.raises(ValueError, match=message):
        Model.from_pretrained(saved)


def test_saving_again_replaces_the_model(saved):
    Model(Shape(width=2), Depth(layers=1)).save_pretrained(saved)
    assert Model.from_pretrained(saved).configs == (Shape(width=2), Depth(layers=1))
    assert len(list(saved.iterdir())) == 2


def test_saving_leaves_a_spectrally_normalised_model_as_it_was_and_stores_plain_weights(tmp_path):
    trained = spectral_norm_(model())
    before = {name: value.clone() for name, value in trained.state_dict().items()}
    trained.save_pretrained(tmp_path)
    assert trained.training
    assert all(parametrize.is_parametrized(layer) for layer in iter_weight_layers(trained))
    assert all(torch.equal(before[name], value) for name, value in trained.state_dict().items())
    loaded = Model.from_pretrained(tmp_path)
    assert loaded.state_dict().keys() == model().state_dict().keys()
    assert torch.equal(loaded(x()), trained.eval()(x()))
    trained.train()(x()).sum().backward()


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_folder_in_which_a_file_is_missing_is_refused(saved, name):
    (saved / name).unlink()
    with pytest.raises(ValueError, match=f"generator holds no model: {name} is missing"):
        Model.from_pretrained(saved)


@pytest.mark.usefixtures("_no_network")
@pytest.mark.parametrize("name", ["nobody/has-this", "runs/x/generator", "/no/such/folder", "two words"])
def test_what_is_neither_a_folder_nor_a_repository_is_refused(name):
    with pytest.raises(ValueError, match=f"{name} is neither a folder with a model nor a Hub repository in reach"):
        Model.from_pretrained(name)


def test_a_run_folder_stands_for_the_best_model_in_it_and_other_names_for_themselves(tmp_path):
    assert find_model("somebody/model") == "somebody/model"
    with pytest.raises(ValueError, match="holds no model"):
        Model.from_pretrained(tmp_path)
    model().save_pretrained(tmp_path / "generator")
    assert find_model(tmp_path) == str(tmp_path / "generator")
    model().save_pretrained(tmp_path / "best")
    assert find_model(str(tmp_path)) == str(tmp_path / "best")
    assert find_model(tmp_path / "generator") == str(tmp_path / "generator")


def test_without_a_network_a_name_on_the_hub_is_asked_for_once(monkeypatch):
    attempts = []

    def refuse(*_, **__):
        attempts.append(1)
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    start = time.monotonic()
    with pytest.raises(ValueError, match="neither a folder with a model nor a Hub repository in reach"):
        Model.from_pretrained("nobody/has-this")
    assert time.monotonic() - start < 5
    assert len(attempts) <= 2


def test_a_model_of_another_kind_is_refused(saved):
    with pytest.raises(ValueError, match="generator holds a Model; Other is needed"):
        Other.from_pretrained(saved)


@pytest.mark.parametrize("text", ["", "{", "[1]", "3", "{}"])
def test_settings_that_cannot_be_read_are_refused(saved, text):
    (saved / "config.json").write_text(text)
    with pytest.raises(ValueError, match="generator holds no model that can be read"):
        Model.from_pretrained(saved)


def test_weights_that_were_cut_short_are_refused(saved):
    weights = (saved / "model.safetensors").read_bytes()
    (saved / "model.safetensors").write_bytes(weights[:-10])
    with pytest.raises(ValueError, match=r"cannot read .*generator/model.safetensors as the weights of a model: "):
        Model.from_pretrained(saved)


def test_the_order_of_settings_in_the_file_does_not_matter(saved):
    config = json.loads((saved / "config.json").read_text())
    (saved / "config.json").write_text(json.dumps(dict(reversed(config.items()))))
    assert Model.from_pretrained(saved).configs == (Shape(sides=(3, 1)), Depth(layers=3))


def rewrite(saved: Path, **changes) -> None:
    config = json.loads((saved / "config.json").read_text()) | changes
    (saved / "config.json").write_text(json.dumps({name: part for name, part in config.items() if part is not None}))


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"shape": {"widht": 4}}, "unknown key widht; did you mean width"),
        ({"shape": {"width": "wide"}}, "width should be int"),
        ({"depth": None}, "does not describe a Model"),
        ({"breadth": {}}, "does not describe a Model"),
        ({"shape": {"width": 5, "sides": [3, 1]}}, "model.safetensors is of another architecture"),
        ({"depth": {"layers": 4}}, "model.safetensors is of another architecture"),
    ],
)
def test_settings_that_do_not_describe_the_weights_are_refused(saved, changes, complaint):
    rewrite(saved, **changes)
    with pytest.raises(ValueError, match=complaint):
        Model.from_pretrained(saved)


def test_a_model_that_cannot_be_written_leaves_the_older_one_whole(saved, monkeypatch):
    before = {path.name: path.read_bytes() for path in saved.iterdir()}

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(hub, "save", full)
    with pytest.raises(UnwritableError, match="No space left"):
        Model(Shape(), Depth()).save_pretrained(saved)
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == before


def test_what_a_killed_save_leaves_is_swept_by_the_next(saved, monkeypatch):
    before = sorted(path.name for path in saved.iterdir())

    def die(path: Path, content: bytes) -> int:
        os.write(os.open(path, os.O_WRONLY), content[:10])
        os._exit(9)

    monkeypatch.setattr(Path, "write_bytes", die)
    if not (child := os.fork()):
        model().save_pretrained(saved)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    monkeypatch.undo()
    assert len(list(saved.iterdir())) == len(before) + 2
    atomic._swept.clear()  # as in a process of its own
    model().save_pretrained(saved)
    assert sorted(path.name for path in saved.iterdir()) == before


def test_a_setting_that_changes_no_shape_cannot_be_exchanged(saved):
    class Slope(HubModel):
        def __init__(self, depth: Depth):
            super().__init__(depth)
            self.weight = nn.Parameter(torch.ones(1))

    Slope(Depth(layers=1)).save_pretrained(saved)
    assert Slope.from_pretrained(saved).configs == (Depth(layers=1),)
    rewrite(saved, depth={"layers": 2})
    with pytest.raises(ValueError, match=r"config\.json and model\.safetensors of .* do not belong together"):
        Slope.from_pretrained(saved)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_a_model_of_another_precision_is_loaded_in_single_precision(saved, dtype):
    trained = model().to(dtype)
    trained.save_pretrained(saved)
    loaded = Model.from_pretrained(saved)
    assert {weight.dtype for weight in loaded.parameters()} == {torch.float32}
    assert all(
        torch.equal(loaded.state_dict()[name], own.to(loaded.state_dict()[name].dtype))
        for name, own in trained.state_dict().items()
    )


def test_half_precision_halves_the_file_and_spares_what_needs_more(saved, tmp_path):
    trained = model()
    trained.layers[1].keeps_float32 = True
    trained.save_pretrained(tmp_path / "half", half=True)
    whole, halved = (read_header(folder / "model.safetensors") for folder in (saved, tmp_path / "half"))
    loaded = Model.from_pretrained(tmp_path / "half").state_dict()
    for name, own in trained.state_dict().items():
        if whole[name].dtype != "F32" or name.startswith("layers.1."):
            assert halved[name].dtype == whole[name].dtype
            assert torch.equal(loaded[name], own)
        else:
            assert halved[name].dtype == "F16"
            assert torch.equal(loaded[name], own.half().float())


def test_a_weight_that_half_precision_cannot_hold_is_named(tmp_path):
    trained = model()
    name, weight = next(iter(trained.named_parameters()))
    weight.data.flatten()[0] = 1e6
    with pytest.raises(ValueError, match=f"{re.escape(name)} has numbers too large for half precision"):
        trained.save_pretrained(tmp_path / "half", half=True)
    assert not list(tmp_path.glob("half/*"))


def test_a_flipped_bit_of_a_weight_is_damage(saved):
    written = bytearray((saved / "model.safetensors").read_bytes())
    written[-5] ^= 4
    (saved / "model.safetensors").write_bytes(written)
    with pytest.raises(ValueError, match="or one of them is damaged"):
        Model.from_pretrained(saved)


def test_a_model_is_uploaded_as_the_folder_that_is_saved(monkeypatch, saved):
    requests = []

    class Api:
        """The Hub, which tests do not reach."""

        def create_repo(self, repo, *, private, exist_ok):
            requests.append((repo, private, exist_ok))

        def upload_folder(self, *, repo_id, folder_path):
            requests.append((repo_id, {path.name: path.read_bytes() for path in Path(folder_path).iterdir()}))

    monkeypatch.setattr(hub, "HfApi", Api)
    model().push_to_hub("somebody/model", private=True)
    files = {path.name: path.read_bytes() for path in saved.iterdir()}
    assert requests == [("somebody/model", True, True), ("somebody/model", files)]
