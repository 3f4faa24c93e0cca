"""Serve the forms for tests, post to them, and read what they delivered."""

from __future__ import annotations

import hashlib
import hmac
import socket
import threading
from contextlib import contextmanager, suppress
from email import message_from_bytes, policy
from typing import TYPE_CHECKING, Any

import httpx2 as httpx
import uvicorn

from poller.config import loader
from poller.forms.asgi import make_app
from poller.forms.http_protocol import PromptProtocol
from poller.mailbox.inbox import Inbox
from poller.mime import reference as mime_reference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from email.message import EmailMessage

    from integrations.sandbox import Sandbox
    from poller.config.settings import Settings

TOKEN, KEY = "a-token-of-the-quote-form", "a-key-that-the-signed-form-has"
GLB = b"glTF" + (2).to_bytes(4, "little") + (20).to_bytes(4, "little") + bytes(8)
CUSTOMER = {
    "email": "jeanne.petit@client.example",
    "name": "Jeanne Petit",
    "subject": "Modélisation d’une chaise",
    "message": "Bonjour,\n\nPouvez-vous modéliser cette chaise en 3D ?\n\nJeanne",
}


class Site:
    """The forms as they are served, and a client that posts to them."""

    def __init__(self, settings: Settings) -> None:
        app = make_app(settings)
        configured = uvicorn.Config(
            app, http=PromptProtocol, ws="none", proxy_headers=False, access_log=False, log_config=None
        )
        self._server = uvicorn.Server(configured)
        # A client that connects before it is up waits in the queue of the socket.
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        self._thread = threading.Thread(target=self._server.run, args=([listener],))
        self._thread.start()
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30)

    def post(self, form: str = "contact", /, **given: Any) -> httpx.Response:
        """Post to a form, as JSON where the arguments of the request do not say otherwise."""
        return self.client.post(f"/forms/{form}", **({"json": CUSTOMER} | given))

    def close(self) -> None:
        """Stop serving, and wait until it has ended."""
        self.client.close()
        self._server.should_exit = True
        self._thread.join()


def settings_of(sandbox: Sandbox, **given: str) -> Settings:
    """Return settings with a public form, one with a token and one that is signed, changed by environment names."""
    named = {
        "FORMS_NAMES": "contact quote signed",
        "FORMS_PUBLIC": "contact",
        "FORMS_TOKENS": f"quote={TOKEN}",
        "FORMS_SIGNING_KEYS": f"signed={KEY}",
        "FORMS_PAGE": "true",
    }
    return loader.from_names(sandbox.environment() | named | given)


def delivered(sandbox: Sandbox) -> list[EmailMessage]:
    """Return the messages in the inbox."""
    return [message_from_bytes(each.raw, policy=policy.default) for each in sandbox.imap.messages()]


def signature(
    body: bytes, at_s: float, key: str = KEY, *, form: str = "signed", content_type: str = "application/json"
) -> str:
    """Return the signature of a post as its sender makes it."""
    signed = f"{int(at_s)}.{form}.{content_type}.".encode() + body
    return f"t={int(at_s)},v1={hmac.new(key.encode(), signed, hashlib.sha256).hexdigest()}"


def reference_of(sandbox: Sandbox, raw: bytes) -> str | None:
    """Return the reference that the daemon gives to a message."""
    return mime_reference.reference_of(Inbox(settings_of(sandbox)).account, raw)


def half_a_post(port: int, form: str = "contact", header: str = "", length: int = 1_900_000) -> socket.socket:
    """Return a connection on which one byte of a long body was sent."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=5)
    connection.sendall(f"POST /forms/{form} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n{header}\r\n{{".encode())
    return connection


@contextmanager
def imap_relay(
    sandbox: Sandbox,
    outgoing: Callable[[bytes], bool],
    incoming: Callable[[bytes], bool],
    answered: Callable[[socket.socket, bytes], bool] = lambda *_: False,
) -> Iterator[int]:
    """Relay connections to the mail server, and cut one when a function refuses a piece. Yield the relay's port.

    A piece that `answered` answers for the server goes no further.
    """

    def carry(source: socket.socket, target: socket.socket, goes: Callable[[bytes], bool]) -> None:
        with suppress(OSError):  # The other way was cut meanwhile.
            while (piece := _received(source)) and goes(piece):
                if not answered(source, piece):
                    target.sendall(piece)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def accept() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.create_connection((sandbox.imap.host, sandbox.imap.port))
            open_ends.extend((client, server))
            for way in ((client, server, outgoing), (server, client, incoming)):
                threading.Thread(target=carry, args=way, daemon=True).start()

    open_ends: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for end in open_ends:
                end.close()


def _received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except OSError:
        return b""
