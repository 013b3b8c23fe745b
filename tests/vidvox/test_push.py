"""What `vidvox push` uploads, to a server that stands in for the Hub."""

import json
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from support.hub_server import TOKEN, Handler, running_hub
from support.tiny import predictor

import vidvox


@pytest.fixture
def hub(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", "no-such-file")
    with running_hub() as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.address)
        yield hub


def test_a_model_and_its_card_arrive_and_the_model_is_whole(hub, run_vidvox, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    predictor("modern").save_pretrained("mine/generator")
    said = run_vidvox("push", "mine", "user/name", "--licence", "mit", "--private")
    assert said.code == 0, said.err
    assert said.out.splitlines()[-1] == f"{hub.address}/user/name"
    (created,) = hub.created
    assert (created["organization"], created["name"]) == ("user", "name")
    assert created.get("private") or created.get("visibility") == "private"
    files = hub.files["user/name"]
    assert set(files) == {"README.md", "config.json", "model.safetensors"}
    assert b"license: mit" in files["README.md"]
    assert json.loads(files["config.json"]) == json.loads(Path("mine/generator/config.json").read_text())
    Path("arrived").mkdir()
    for name, content in files.items():
        Path("arrived", name).write_bytes(content)
    mine, arrived = (vidvox.load(folder).network.state_dict() for folder in ("mine", "arrived"))
    assert all(weight.equal(arrived[name]) for name, weight in mine.items())


def test_a_model_in_half_precision_takes_half_the_space(run_vidvox):
    predictor("modern").save_pretrained("mine/generator")
    for folder, flags in {"whole": [], "half": ["--half"]}.items():
        said = run_vidvox("push", "mine", "user/name", "-o", folder, *flags)
        assert said.code == 0, said.err
    whole, half = (Path(folder, "model.safetensors").stat().st_size for folder in ("whole", "half"))
    assert 0.5 < half / whole < 0.6
    mine, halved = (vidvox.load(folder).network.state_dict() for folder in ("mine", "half"))
    assert all(torch.equal(halved[name], weight.half().float()) for name, weight in mine.items())
    assert Path("half/README.md").read_text() == Path("whole/README.md").read_text()


def test_who_is_not_logged_in_is_told_how_and_nothing_is_made(hub, run_vidvox):
    predictor("modern").save_pretrained("mine/generator")
    said = run_vidvox("push", "mine", "user/name")
    assert said.code == 2
    assert "user/name cannot be uploaded" in said.err
    assert "hf auth login" in said.err
    assert len(said.err.splitlines()) == 1
    assert hub.created == []


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("fault", ["no server", "no answer"])
def test_a_hub_that_does_not_answer_is_one_line(run_vidvox, monkeypatch, fault):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    if fault == "no server":
        monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:1")
    else:
        monkeypatch.setattr(Handler, "do_POST", lambda handler: handler.connection.close())
    predictor("modern").save_pretrained("mine/generator")
    said = run_vidvox("push", "mine", "user/name")
    assert said.code == 2
    assert "user/name cannot be uploaded" in said.err
    assert len(said.err.splitlines()) == 1
