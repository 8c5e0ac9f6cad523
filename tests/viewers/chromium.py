"""A headless Chromium, driven by the Chrome DevTools Protocol over a pair of pipes: no port, no further package."""

from __future__ import annotations

import base64
import json
import os
import select
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

PROGRAM = Path("/usr/lib/chromium/chromium")
"""Debian's program itself: the script in /usr/bin adds the desktop's settings."""
_OPTIONS = (
    "--headless=new",
    # Chromium's own sandbox does not start as root, nor in most containers; all pages here are ours.
    "--no-sandbox",
    "--disable-dev-shm-usage",
    # WebGL 2 without a graphics card.
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    # Nothing is asked of any machine but this one.
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
    "--force-device-scale-factor=1",
    "--window-size=1600,1000",
    "--remote-debugging-pipe",
)


class Chromium:
    """One browser with one page; a context manager, which ends what it started.

    Args:
        folder: For its profile and its log.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.log_path = folder / "chromium.log"
        self.console: list[str] = []
        """What the page wrote to its console, and errors that it did not catch."""
        self._last_id = 0
        self._session_id: str | None = None
        self._buffer = b""
        self._process = self._spawn(folder / "profile")

    def __enter__(self) -> Chromium:
        try:
            target = self._call("Target.createTarget", url="about:blank")["targetId"]
            self._session_id = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            self._call("Runtime.enable")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def open(self, url: str) -> None:
        """Go to a page, without waiting for it."""
        self._call("Page.navigate", url=url)

    def evaluate(self, function: str, *arguments: object, timeout_s: float = 60) -> Any:
        """Call a JavaScript function in the page with values that JSON knows, and wait for what it promises."""
        answer = self._call(
            "Runtime.evaluate",
            timeout_s,
            expression=f"({function})({', '.join(map(json.dumps, arguments))})",
            awaitPromise=True,
            returnByValue=True,
        )
        failure = answer.get("exceptionDetails")
        assert not failure, failure.get("exception", {}).get("description") or failure["text"]
        return answer["result"].get("value")

    def wait_for(self, function: str, *arguments: object, timeout_s: float = 60) -> Any:
        """What a function gives, as soon as it gives anything true."""
        deadline = time.monotonic() + timeout_s
        while True:
            if found := self.evaluate(function, *arguments, timeout_s=timeout_s):
                return found
            assert time.monotonic() < deadline, f"waited {timeout_s} s for {function}; console: {self.console[-20:]}"
            time.sleep(0.1)

    def screenshot(self, path: Path, timeout_s: float = 30) -> Path:
        """Keep what the page shows as PNG, once two pictures in a row are the same."""
        deadline = time.monotonic() + timeout_s
        before, now = b"", self._picture()
        while before != now and time.monotonic() < deadline:
            before, now = now, self._picture()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(now)
        return path

    def _picture(self) -> bytes:
        return base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"])

    def _spawn(self, profile: Path) -> subprocess.Popen[bytes]:
        """Start Chromium, which reads commands from descriptor 3 and writes answers to 4."""
        its_input, self._commands = os.pipe()
        self._answers, its_output = os.pipe()
        script = f'exec "$@" 3<&{its_input} 4>&{its_output}'
        command = ["bash", "-c", script, "bash", PROGRAM, *_OPTIONS, f"--user-data-dir={profile}", "about:blank"]
        with self.log_path.open("wb") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                pass_fds=(its_input, its_output), start_new_session=True,
            )  # fmt: skip
        os.close(its_input)
        os.close(its_output)
        return process

    def _call(self, method: str, timeout_s: float = 60, **parameters: object) -> dict[str, Any]:
        """Send a command, and wait for its answer."""
        self._last_id += 1
        message = {"id": self._last_id, "method": method, "params": parameters}
        if self._session_id:
            message["sessionId"] = self._session_id
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + timeout_s
        while (answer := self._receive(deadline, method)).get("id") != self._last_id:
            self._note(answer)
        assert "error" not in answer, f"{method}: {answer['error']}"
        result: dict[str, Any] = answer["result"]
        return result

    def _receive(self, deadline: float, method: str) -> dict[str, Any]:
        """The next message of the browser; messages end with a zero byte."""
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._answers], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"Chromium did not answer {method} in time"
            piece = os.read(self._answers, 1 << 20)
            assert piece, f"Chromium ended: {self.log_path.read_text(errors='replace')[-2000:]}"
            self._buffer += piece
        text, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        return message

    def _note(self, event: dict[str, Any]) -> None:
        """Keep what the page says of itself."""
        if event.get("method") == "Runtime.consoleAPICalled":
            words = [str(a.get("value", a.get("description", ""))) for a in event["params"]["args"]]
            self.console.append(f"{event['params']['type']}: {' '.join(words)}")
        elif event.get("method") == "Runtime.exceptionThrown":
            details = event["params"]["exceptionDetails"]
            self.console.append(f"exception: {details.get('exception', {}).get('description') or details['text']}")

    def _end(self) -> None:
        """End the browser: it ends by itself when its pipes close; what does not is killed with all it started."""
        os.close(self._commands)
        os.close(self._answers)
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(timeout=10)
