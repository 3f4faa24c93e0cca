"""Control a real browser without a window over its debugging pipe (https://chromedevtools.github.io/devtools-protocol/)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from pathlib import Path

EXECUTABLE = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)
# Chromium reads commands from 3 and writes to 4.
_LAUNCH = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(number), fcntl.F_DUPFD, 20) for number in sys.argv[1:3]]
for end, number in zip(ends, (3, 4)):
    os.dup2(end, number)
    os.close(end)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Browser:
    """A browser with one page: a context manager."""

    def __init__(self, profile: Path, *, width: int = 390, height: int = 1100, dark: bool = False) -> None:
        self._profile, self._size, self._dark = profile, (width, height), dark
        self._last = 0
        self._session = ""
        self._events: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        (theirs_in, ours_out), (ours_in, theirs_out) = os.pipe(), os.pipe()
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--no-first-run"]
        options += ["--disable-dev-shm-usage", "--disable-background-networking", f"--user-data-dir={self._profile}"]
        launch = [sys.executable, "-c", _LAUNCH, str(theirs_in), str(theirs_out), EXECUTABLE, *options, "about:blank"]
        self._process = subprocess.Popen(
            launch, pass_fds=(theirs_in, theirs_out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._out, self._in = os.fdopen(ours_out, "wb", buffering=0), os.fdopen(ours_in, "rb")
        page = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        width, height = self._size
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if self._dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Page.enable")
        self.call("Runtime.enable")
        self.call("Log.enable")
        return self

    def __exit__(self, *_: object) -> None:
        self._session = ""
        self.call("Browser.close")
        self._process.wait(timeout=20)
        self._out.close()
        self._in.close()

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Run a command, and wait for its result."""
        self._last += 1
        command = {"id": self._last, "method": method, "params": parameters}
        if self._session:
            command["sessionId"] = self._session
        self._out.write(json.dumps(command).encode() + b"\0")
        while (said := self._read()).get("id") != self._last:
            self._events.append(said)
        assert "error" not in said, said
        return said["result"]

    def _read(self) -> dict[str, Any]:
        text = bytearray()
        while (byte := self._in.read(1)) != b"\0":
            assert byte, "the browser has ended"
            text += byte
        return json.loads(text)

    def open(self, url: str) -> None:
        """Open a page, and wait until it is shown."""
        self._events.clear()
        self.call("Page.navigate", url=url)
        self.loaded()

    def loaded(self) -> None:
        """Wait until the page is shown that was asked for last."""
        while not any(event["method"] == "Page.loadEventFired" for event in self._events):
            self._events.append(self._read())

    def run(self, script: str) -> Any:
        """Return the value of a script that runs in the page, as JSON has it."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True, userGesture=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def type(self, selector: str, text: str) -> None:
        """Write into a field as a person does."""
        self.run(f"document.querySelector({json.dumps(selector)}).focus()")
        self.call("Input.insertText", text=text)

    def choose(self, selector: str, *files: Path) -> None:
        """Choose files for a field."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(file) for file in files])

    def press(self, key: str) -> None:
        """Press a key of the keyboard: "Tab" or "Enter"."""
        code, text = {"Tab": (9, ""), "Enter": (13, "\r")}[key]
        self._events.clear()
        for kind in ("keyDown", "keyUp"):
            typed = {"text": text} if text and kind == "keyDown" else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **typed)

    def complaints(self) -> list[str]:
        """Return the console's messages about the page, also those of its Content-Security-Policy."""
        entries = [event["params"]["entry"] for event in self._events if event["method"] == "Log.entryAdded"]
        return [f"{entry['level']}: {entry['text']}" for entry in entries]

    def accessible(self) -> list[tuple[str, str]]:
        """Return role and name of each element that a screen reader finds."""
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        return [
            (node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node.get("ignored")
        ]

    def picture(self) -> bytes:
        """Return a screenshot of the page, as PNG in base64."""
        return str(self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]).encode()
