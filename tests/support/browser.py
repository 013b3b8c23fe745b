"""Drives a real browser without a display, by the DevTools protocol over two pipes."""

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--enable-unsafe-swiftshader",  # WebGL without a graphics card
    "--hide-scrollbars",
    "--no-default-browser-check",
    "--no-first-run",
    "--remote-debugging-pipe",
)
PATIENCE = 60.0
"""Seconds to wait for an answer, on a busy machine."""

# A browser reads commands from descriptor 3 and answers on 4, which may be other files in this process.
LAUNCH = """
import fcntl, os, sys
pipes = [fcntl.fcntl(int(pipe), fcntl.F_DUPFD_CLOEXEC, 5) for pipe in sys.argv[1:3]]
for place, pipe in enumerate(pipes, 3):
    os.dup2(pipe, place)
os.execv(sys.argv[3], sys.argv[3:])
"""


def find() -> str | None:
    """The path of a browser, $CHROME first; None if there is none."""
    names = filter(None, [os.environ.get("CHROME"), *NAMES])
    return next(filter(None, map(shutil.which, names)), None)


@contextmanager
def started(program: str, folder: Path) -> Iterator["Browser"]:
    """A running browser that keeps its profile in an empty folder; it has ended when the block has."""
    commands, answers = os.pipe(), os.pipe()
    process = subprocess.Popen(
        [
            *(sys.executable, "-I", "-S", "-c", LAUNCH, str(commands[0]), str(answers[1])),
            *(program, *FLAGS, f"--user-data-dir={folder}"),
        ],
        pass_fds=(commands[0], answers[1]),
        env={**os.environ, "HOME": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.close(commands[0])
    os.close(answers[1])
    try:
        yield Browser(commands[1], answers[0])
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # nothing it could still say matters, and all its children end too
        process.wait()
        os.close(commands[1])
        os.close(answers[0])


class Browser:
    """Commands to a browser and what it reports."""

    def __init__(self, commands: int, answers: int):
        self.commands, self.answers = commands, answers
        self.unread, self.calls = b"", 0
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, *, session: str = "", **parameters: Any) -> dict[str, Any]:
        """The browser's answer to a command; what else it reports meanwhile is kept in `events`."""
        self.calls += 1
        message = {"id": self.calls, "method": method, "params": parameters}
        text = json.dumps(message | ({"sessionId": session} if session else {})).encode() + b"\0"
        while text:
            text = text[os.write(self.commands, text) :]
        while (answer := self._next()).get("id") != self.calls:
            self.events.append(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def wait(self, method: str, *, session: str) -> None:
        """Returns once that event has been reported."""
        while not any(event["method"] == method and event.get("sessionId") == session for event in self.events):
            self.events.append(self._next())

    def _next(self) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE
        while b"\0" not in self.unread:
            if not select.select([self.answers], [], [], max(deadline - time.monotonic(), 0))[0]:
                raise TimeoutError(f"the browser said nothing for {PATIENCE:.0f} seconds")
            if not (more := os.read(self.answers, 1 << 20)):
                raise RuntimeError("the browser has ended")
            self.unread += more
        line, _, self.unread = self.unread.partition(b"\0")
        return json.loads(line)

    @contextmanager
    def opened(
        self, path: Path, *, width: int = 1000, height: int = 800, dark: bool = False, saves: Path | None = None
    ) -> Iterator["Page"]:
        """The file in a tab of its own with storage of its own, loaded; what it saves goes to the folder `saves`."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        page = Page(self, self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"], context)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        page.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        page.call("Emulation.setEmulatedMedia", features=scheme)
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.call(f"{domain}.enable")
        if saves:
            allowed = {"behavior": "allow", "downloadPath": str(saves)}
            self.call("Browser.setDownloadBehavior", browserContextId=context, **allowed)
        try:
            page.go(path)
            yield page
        finally:
            self.call("Target.disposeBrowserContext", browserContextId=context)


class Page:
    """A tab."""

    def __init__(self, browser: Browser, session: str, context: str):
        self.browser, self.session, self.context = browser, session, context

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The tab's answer to a command."""
        return self.browser.call(method, session=self.session, **parameters)

    def go(self, path: Path) -> None:
        """Loads the file, or loads it again, and sees it painted."""
        self.browser.events.clear()
        self.call("Page.navigate", url=path.resolve().as_uri())
        self.browser.wait("Page.loadEventFired", session=self.session)
        self.value("new Promise(painted => requestAnimationFrame(() => requestAnimationFrame(painted)))")

    def before(self, script: str) -> None:
        """Has a script run before those of every page that is loaded from now on."""
        self.call("Page.addScriptToEvaluateOnNewDocument", source=script)

    def value(self, script: str) -> Any:
        """What a JavaScript expression, or the promise of one, comes to."""
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        """Presses a key and lets it go."""
        typed = {"text": key} if len(key) == 1 else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, **typed)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def click(self, selector: str) -> None:
        """Clicks with the mouse at the middle of an element, whatever lies there."""
        box = f"document.querySelector({json.dumps(selector)}).getBoundingClientRect()"
        x, y = self.value(f"(box => [box.x + box.width / 2, box.y + box.height / 2])({box})")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def drag(self, selector: str, *, right: float, down: float = 0.0) -> None:
        """Drags the middle of an element by these pixels."""
        box = f"document.querySelector({json.dumps(selector)}).getBoundingClientRect()"
        x, y = self.value(f"(box => [box.x + box.width / 2, box.y + box.height / 2])({box})")
        for kind, share in (("mousePressed", 0.0), ("mouseMoved", 0.5), ("mouseMoved", 1.0), ("mouseReleased", 1.0)):
            place = {"x": x + share * right, "y": y + share * down}
            self.call("Input.dispatchMouseEvent", type=kind, **place, button="left", buttons=1, clickCount=1)

    def screenshot(self, path: Path) -> None:
        """Writes a PNG of the whole page."""
        data = self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        path.write_bytes(b64decode(data))

    def downloaded(self, folder: Path) -> Path:
        """The one file that the page saves, or saved last, once it is whole."""
        deadline = time.monotonic() + PATIENCE
        while not (whole := [path for path in folder.iterdir() if path.suffix != ".crdownload"]):
            assert time.monotonic() < deadline, "nothing was saved"
            time.sleep(0.02)
        return max(whole, key=lambda path: path.stat().st_mtime_ns)

    def complaints(self) -> list[str]:
        """Errors and warnings of the console, and all that the page asked of any place but its own file."""
        self.value("0")  # so that all before it has been reported
        return [text for event in self.browser.events if (text := _complaint(event))]


def _complaint(event: dict[str, Any]) -> str:
    about = event.get("params", {})
    match event["method"]:
        case "Runtime.exceptionThrown":
            return str(about["exceptionDetails"])
        case "Runtime.consoleAPICalled" if about["type"] in ("error", "warning", "assert"):
            return str(about["args"])
        case "Log.entryAdded" if about["entry"]["level"] in ("error", "warning"):
            return str(about["entry"]["text"])
        case "Network.requestWillBeSent" if not about["request"]["url"].startswith(("file:", "data:", "blob:")):
            return f"asked for {about['request']['url']}"
    return ""


UNDECODED = """
Promise.all([...document.images].map(image => image.decode().catch(() => 0)))
  .then(() => [...document.images].filter(image => !image.naturalWidth).length)
"""
"""Pictures of the page that are not there."""

TOO_WIDE = """
[...document.querySelectorAll("body *")]
  .filter(part => part.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5)
  .filter(part => !part.closest(".wide > *"))
  .map(part => part.outerHTML.slice(0, 80))
"""
"""Parts that stand out over the right border, save those within what scrolls by itself."""


def faults(page: Page) -> list[str]:
    """All that is wrong with how a page is shown: complaints, missing pictures, parts beyond the border."""
    missing = page.value(UNDECODED)
    return page.complaints() + [f"{missing} pictures missing"] * bool(missing) + page.value(TOO_WIDE)
