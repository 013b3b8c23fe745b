"""A download is the published file or one line: whatever the server offers, cuts short, redirects or sends instead."""

from collections.abc import Callable
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from gancore.features import weights
from gancore.features.weights import PUBLISHED_WEIGHTS, PublishedWeights, fetch_weights

PAYLOAD = bytes(range(256)) * 1000


class Server(ThreadingHTTPServer):
    """Answers with `reply`, which is given the handler and the first byte that was asked for."""

    reply: Callable[["Handler", int], None]
    asked: list[str]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self):
        wanted = self.headers.get("Range", "")
        self.server.asked.append(wanted)
        self.server.reply(self, int(wanted.removeprefix("bytes=").removesuffix("-") or 0))

    def start(self, code: int = 200, **headers: object):
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def log_message(self, *_):
        """Says nothing."""


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("VIDVOX_CACHE", str(tmp_path / "cache"))
    with Server(("127.0.0.1", 0), Handler) as running:
        running.asked = []
        known = PublishedWeights(
            description="",
            source=f"http://127.0.0.1:{running.server_port}/far.pth",
            archive_member="far.pth",
            size=len(PAYLOAD),
            sha256=sha256(PAYLOAD).hexdigest(),
            licence="none",
        )
        monkeypatch.setitem(PUBLISHED_WEIGHTS, "far", known)
        Thread(target=running.serve_forever, args=[0.01], daemon=True).start()
        yield running
        running.shutdown()


def refused(complaint: str) -> None:
    with pytest.raises(OSError, match=rf"^http://127\.0\.0\.1:\d+/far\.pth could not be downloaded: {complaint}"):
        fetch_weights("far")
    assert list(weights.weights_folder().iterdir()) == []


def test_a_download_that_is_cut_short_goes_on_where_it_was_cut(server):
    def reply(handler, first):
        handler.start(206 if first else 200, Content_Length=len(PAYLOAD) - first)
        handler.wfile.write(PAYLOAD[first : first + 100_000])

    server.reply = reply
    assert fetch_weights("far").read_bytes() == PAYLOAD
    assert server.asked == ["", "bytes=65536-", "bytes=131072-", "bytes=196608-"]


def test_where_the_server_knows_no_ranges_it_starts_again(server):
    def reply(handler, first):
        handler.start(200, Content_Length=len(PAYLOAD))
        handler.wfile.write(PAYLOAD if first else PAYLOAD[:100_000])

    server.reply = reply
    assert fetch_weights("far").read_bytes() == PAYLOAD


def test_a_download_that_is_always_cut_short_ends_in_one_line(server):
    def reply(handler, first):
        handler.start(206 if first else 200, Content_Length=len(PAYLOAD) - first)
        handler.wfile.write(PAYLOAD[first : first + 10_000])

    server.reply = reply
    refused(".*")
    assert len(server.asked) <= weights.ATTEMPTS


def test_a_size_that_is_not_stated_and_too_little_that_comes_is_cut_short(server):
    def reply(handler, _):
        handler.start()
        handler.wfile.write(PAYLOAD[:1000])

    server.reply = reply
    refused("it was cut short: 1,000 of 256,000 bytes came")


@pytest.mark.parametrize(
    ("headers", "complaint"),
    [
        ({"Content_Length": 1_500_000_000}, "1500000000 bytes are offered where it has 256000"),
        ({}, "more than its 256000 bytes are sent"),
    ],
)
def test_more_than_the_file_has_is_not_read_whether_its_size_is_stated_or_not(server, headers, complaint):
    sent = []

    def reply(handler, _):
        handler.start(**headers)
        for _ in range(1000):
            handler.wfile.write(bytes(2**20))
            sent.append(1)

    server.reply = reply
    refused(complaint)
    assert len(sent) < 100


def test_a_page_in_place_of_the_file_is_refused(server):
    page = b"<html>Please log in</html>"
    server.reply = lambda handler, _: (handler.start(Content_Length=len(page)), handler.wfile.write(page))
    refused(f"{len(page)} bytes are offered where it has 256000")


@pytest.mark.parametrize("place", ["file:///etc/hosts", "ftp://127.0.0.1/far.pth"])
def test_a_redirection_to_another_protocol_is_not_followed(server, place):
    server.reply = lambda handler, _: handler.start(302, Location=place)
    refused("No connection adapters were found")


def test_a_redirection_from_https_to_http_is_refused(server, monkeypatch):
    import requests

    def get(address, **options):
        return requests.Session().get(address.replace("https", "http"), **options)

    known = PUBLISHED_WEIGHTS["far"]
    monkeypatch.setattr(requests, "get", get)
    fields = {name: getattr(known, name) for name in known.__dataclass_fields__}
    secure = known.source.replace("http", "https")
    monkeypatch.setitem(PUBLISHED_WEIGHTS, "far", PublishedWeights(**(fields | {"source": secure})))
    server.reply = lambda handler, _: (handler.start(Content_Length=len(PAYLOAD)), handler.wfile.write(PAYLOAD))
    with pytest.raises(OSError, match="by another protocol"):
        fetch_weights("far")


@pytest.mark.parametrize("code", [403, 404, 500, 503])
def test_an_error_of_the_server_is_one_line(server, code):
    server.reply = lambda handler, _: handler.start(code, Content_Length=0)
    refused(str(code))


def test_a_redirection_without_end_is_one_line(server):
    server.reply = lambda handler, _: handler.start(302, Location="/far.pth", Content_Length=0)
    refused("Exceeded 30 redirects")


def test_a_full_disk_is_one_line_and_leaves_nothing(server, monkeypatch):
    server.reply = lambda handler, _: (handler.start(Content_Length=len(PAYLOAD)), handler.wfile.write(PAYLOAD))

    def full(*_):
        raise OSError(28, "No space left on device")
        yield b""

    monkeypatch.setattr(weights, "_iter_rest", full)
    refused(r".*No space left on device")


def test_two_downloads_at_once_leave_one_whole_file(server):
    server.reply = lambda handler, _: (handler.start(Content_Length=len(PAYLOAD)), handler.wfile.write(PAYLOAD))
    found = []
    threads = [Thread(target=lambda: found.append(fetch_weights("far").read_bytes() == PAYLOAD)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 4
    assert [path.name for path in weights.weights_folder().iterdir()] == ["far.pth"]
