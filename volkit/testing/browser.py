"""A browser for tests: headless Chromium that draws with its processor, and tells what it did.

Nothing is found by name but this machine: what asks another one fails, and is told when
the browser is closed.
"""

import asyncio
import json
import re
import shutil
import subprocess
import tempfile
import threading
import time
import urllib.request
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--hide-scrollbars",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost",
    "--remote-debugging-port=0",
)
_HERE = ("127.0.0.1", "localhost")
_REQUEST = re.compile(r'"initiator":"([^"]*)".*?"url":"((?:https?|wss?):[^"]*)"')
_START_SECONDS, _ANSWER_SECONDS, _POLL_SECONDS = 60.0, 60.0, 0.1
_MOST_BYTES = 2**28  # of a message: screenshots are large


def find_chromium() -> str | None:
    """Find the program; None where there is none."""
    return next((found for name in _NAMES if (found := shutil.which(name))), None)


@dataclass
class Browser:
    """A page of a browser.

    Parameters
    ----------
    errors : list of str
        Exceptions and errors of the console, of all pages that were opened.
    """

    errors: list[str] = field(default_factory=list)
    _process: Any = None
    _folder: Path = field(default_factory=Path)
    _loop: Any = None
    _thread: Any = None
    _socket: Any = None
    _answers: dict[int, Any] = field(default_factory=dict)
    _asked: int = 0

    @classmethod
    def start(cls, *, size: tuple[int, int] = (1200, 800), flags: Sequence[str] = ()) -> Self:
        """Begin.

        Parameters
        ----------
        size : tuple of int
            Width and height of the page, pixels.
        flags : sequence of str
            More for the program.
        """
        program = find_chromium()
        if program is None:
            raise FileNotFoundError("there is no Chromium on this machine")
        found = cls()
        found._folder = Path(tempfile.mkdtemp(prefix="volkit-browser-"))
        found._process = subprocess.Popen(
            [
                program,
                *_FLAGS,
                *flags,
                f"--window-size={size[0]},{size[1]}",
                f"--user-data-dir={found._folder}",
                f"--log-net-log={found._folder / 'net.json'}",
                "about:blank",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        found._loop = asyncio.new_event_loop()
        found._thread = threading.Thread(target=found._loop.run_forever, daemon=True)
        found._thread.start()
        found._wait_for(found._connect(size), _START_SECONDS)
        return found

    def open(self, url: str) -> None:
        """Go to an address, and wait until the page is there."""
        self.call("Page.navigate", url=url)
        self.wait("document.readyState == 'complete'")

    def wait(self, script: str, *, seconds: float = 60.0) -> Any:
        """Wait until an expression is true, and give it.

        Raises
        ------
        TimeoutError
            If it does not become so.
        """
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            found = self.run(script)
            if found:
                return found
            time.sleep(_POLL_SECONDS)
        raise TimeoutError(f"{script} is not true after {seconds} s; errors: {self.errors}")

    def run(self, script: str) -> Any:
        """Evaluate an expression, and give its value; a promise is waited for."""
        found = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in found:
            raise RuntimeError(f"{script}: {found['exceptionDetails']}")
        return found["result"].get("value")

    def screenshot(self, path: Path | None = None) -> NDArray[np.uint8]:
        """Draw the page: shape (Y, X, 3), red, green, blue; into a PNG, too, if wanted."""
        from matplotlib.image import imread

        data = b64decode(self.call("Page.captureScreenshot", format="png")["data"])
        if path is not None:
            path.write_bytes(data)
        pixels: NDArray[np.float32] = imread(BytesIO(data), format="png")[..., :3]
        return np.rint(pixels * 255).astype(np.uint8)

    def call(self, method: str, **params: Any) -> Any:
        """Call a method of the DevTools protocol."""
        return self._wait_for(self._call(method, params), _ANSWER_SECONDS)

    def close(self) -> list[str]:
        """End the browser.

        Returns
        -------
        list of str
            Other machines that were asked for, by anything in it; empty as it should be.
        """
        try:
            self.call("Browser.close")
            self._process.wait(10)
        except (TimeoutError, subprocess.TimeoutExpired, RuntimeError):
            self._process.kill()
            self._process.wait()
        self._wait_for(self._hang_up(), _ANSWER_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        external = self._external()
        shutil.rmtree(self._folder, ignore_errors=True)
        return external

    def _wait_for(self, coroutine: Any, seconds: float) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(seconds)

    async def _connect(self, size: tuple[int, int]) -> None:
        from tornado.websocket import websocket_connect

        told = self._folder / "DevToolsActivePort"
        while not (told.exists() and "\n" in told.read_text()):
            await asyncio.sleep(_POLL_SECONDS)
        port = told.read_text().splitlines()[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json") as answer:
            pages = [tab for tab in json.load(answer) if tab["type"] == "page"]
        address = pages[0]["webSocketDebuggerUrl"]
        self._socket = await websocket_connect(address, max_message_size=_MOST_BYTES)
        self._reader = asyncio.ensure_future(self._read())
        for domain in ("Page", "Runtime", "Log"):
            await self._call(f"{domain}.enable", {})
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        await self._call("Emulation.setDeviceMetricsOverride", metrics)

    async def _hang_up(self) -> None:
        self._socket.close()
        await self._reader

    async def _call(self, method: str, params: dict[str, Any]) -> Any:
        self._asked += 1
        answer = self._answers[self._asked] = asyncio.get_running_loop().create_future()
        text = json.dumps({"id": self._asked, "method": method, "params": params})
        await self._socket.write_message(text)
        found = await asyncio.wait_for(answer, _ANSWER_SECONDS)
        if "error" in found:
            raise RuntimeError(f"{method}: {found['error']}")
        return found["result"]

    async def _read(self) -> None:
        while (text := await self._socket.read_message()) is not None:
            message = json.loads(text)
            if "id" in message:
                self._answers.pop(message["id"]).set_result(message)
            else:
                self._note(message["method"], message["params"])

    def _note(self, method: str, params: dict[str, Any]) -> None:
        """Keep what went wrong in the page."""
        if method == "Runtime.exceptionThrown":
            said = params["exceptionDetails"]
            self.errors.append(str(said.get("exception", {}).get("description", said["text"])))
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            entry = params["entry"]
            self.errors.append(f"{entry['text']} {entry.get('url', '')}")
        elif method == "Runtime.consoleAPICalled" and params["type"] == "error":
            words = [str(a.get("value", a.get("description"))) for a in params["args"]]
            self.errors.append(" ".join(words))

    def _external(self) -> list[str]:
        """Read from the browser's own log which machines pages and their workers asked for."""
        text = (self._folder / "net.json").read_text(errors="replace")
        hosts = set()
        for initiator, url in _REQUEST.findall(text):
            # What the program asks on its own behalf is no page's doing.
            if initiator != "not an origin" and urlsplit(url).hostname not in _HERE:
                hosts.add(str(urlsplit(url).hostname))
        return sorted(hosts)
