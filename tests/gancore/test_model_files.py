"""What looks like a path is never a name on the Hub, and what the Hub answers is looked at before it is taken."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from support.tiny_model import Model, model, x

from gancore import model_files
from gancore.model_files import find_model, locate_model_file

COMMITS = {"main": "a" * 40, "v1": "b" * 40, "a" * 40: "a" * 40, "b" * 40: "b" * 40}


class Hub(ThreadingHTTPServer):
    """A Hub on this machine with one repository, user/name, whose files may be given wrongly."""

    def __init__(self, files: dict[str, bytes]):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = files
        self.asked: list[str] = []
        self.fault = ""


class Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self):
        self.answer()

    def do_GET(self):
        self.answer()

    def answer(self):
        self.server.asked.append(f"{self.command} {self.path}")
        _, user, name, _, revision, file = (self.path.split("/", 5) + [""] * 6)[:6]
        fault, content = self.server.fault, self.server.files.get(file)
        if f"{user}/{name}" != "user/name" or content is None or revision not in COMMITS:
            self.send_error(404)
            return
        if fault == "page":
            content = b"<html>Please log in</html>"
        self.send_response(200)
        if fault != "page":
            self.send_header("X-Repo-Commit", COMMITS[revision])
            self.send_header("ETag", f'"{file}"')
        self.send_header("Content-Length", str(10**12 if fault == "large" else len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content[:10] if fault == "short" else content)

    def log_message(self, *_):
        pass


@pytest.fixture
def hub(tmp_path, monkeypatch):
    model().save_pretrained(tmp_path / "generator")
    files = {path.name: path.read_bytes() for path in (tmp_path / "generator").iterdir()}
    with Hub(files) as server:
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setattr(constants, "ENDPOINT", address)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(model_files, "HUB_TIMEOUT", 2)
        yield server
        server.shutdown()


PATHS = ["run/generator", "runs/x", "Runs/mine", "./x", "./user/name", "x/", "user/name/", "/user/name", "~/name"]
PATHS += ["mine/generator", "mine/best", "mine/model.safetensors", "mine/checkpoint-00000010", "out/chairs", "models/a"]
PATHS += ["user\\name", "user/..", "user/a..b", "a/b/c", "user/name@", "user/name@../x", "user/name@-x", "user /name"]


def test_what_looks_like_a_path_is_never_a_name_on_the_hub(tmp_path, monkeypatch, hub):
    monkeypatch.chdir(tmp_path)
    for name in PATHS:
        for find in (find_model, lambda name: locate_model_file(name, "config.json"), Model.from_pretrained):
            with pytest.raises(ValueError, match="neither a folder with a model nor a Hub repository"):
                find(name)
    assert hub.asked == []


def test_neither_is_a_path_object_nor_a_name_whose_first_word_is_a_folder(tmp_path, monkeypatch, hub):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "somebody").mkdir()
    for name in (Path("user/name"), "somebody/name"):
        with pytest.raises(ValueError, match="neither a folder"):
            Model.from_pretrained(name)
    assert hub.asked == []


@pytest.mark.parametrize(
    ("name", "revision"), [("user/name", "main"), ("user/name@v1", "v1"), (f"user/name@{'b' * 40}", "b" * 40)]
)
def test_a_model_comes_from_the_hub_at_the_revision_that_is_named(hub, name, revision):
    assert find_model(name) == name
    assert torch.equal(Model.from_pretrained(name)(x()), model().eval()(x()))
    assert {path.split("/")[4] for path in hub.asked if path.endswith("config.json")} == {revision}


def test_both_files_are_of_one_commit_even_if_the_branch_moves(hub):
    Model.from_pretrained("user/name")
    asked = {path.split("/")[4] for path in hub.asked if path.endswith("model.safetensors")}
    assert asked == {COMMITS["main"]}


@pytest.mark.usefixtures("hub")
def test_a_revision_that_the_hub_does_not_have_is_one_line():
    with pytest.raises(ValueError, match="user/name@v2 is neither a folder with a model nor a Hub repository"):
        Model.from_pretrained("user/name@v2")


@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        ("page", "user/name is neither a folder with a model nor a Hub repository in reach|cannot be downloaded"),
        ("large", r"config.json of user/name is not downloaded: it has 1,000,000,000,000 bytes"),
        ("short", r"config.json of user/name cannot be downloaded: "),
    ],
)
def test_an_answer_that_is_not_the_file_is_one_line(hub, monkeypatch, fault, complaint):
    monkeypatch.setattr("time.sleep", lambda _: None)  # between attempts
    hub.fault = fault
    with pytest.raises(ValueError, match=complaint) as raised:
        Model.from_pretrained("user/name")
    assert len(str(raised.value)) < 500
    hub.fault = ""
    assert torch.equal(Model.from_pretrained("user/name")(x()), model().eval()(x()))
