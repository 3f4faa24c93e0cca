"""HubSpot's file manager: private files, which people of the account alone can open.

https://developers.hubspot.com/docs/api-reference/files-files-v3/guide
"""

from __future__ import annotations

import io
import json
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, BinaryIO
from uuid import uuid4

from urllib3 import Timeout

from integrations.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import WriteableBuffer

_OPTIONS = {"access": "PRIVATE", "overwrite": False}


class Files:
    """The files of an account. Safe to share between threads."""

    def __init__(self, client: Any, ask: Callable[..., tuple[int, dict[str, Any]]]) -> None:
        """Send every call through `ask`, as `Crm` does, and through its `client`.

        The vendor's module for files reads a whole file into memory, so it is not used.
        """
        self._client, self._ask = client, ask

    def find(self, folder: str, name: str) -> str | None:
        """Return the id of the file of this name in the folder, or None.

        `folder` begins with "/". Its parts and the name are `[A-Za-z0-9._-]`, so that they are their own path.
        """
        path = f"/files/v3/files/stat/{folder.strip('/')}/{name}"
        read = partial(self._client.call_api, path, "GET", auth_settings=["oauth2"])
        status, answer = self._ask("find file", read, expect=(404,), yields="file")
        return str(answer["file"]["id"]) if status != HTTPStatus.NOT_FOUND and answer["file"] else None

    def upload(self, folder: str, name: str, body: BinaryIO, size_bytes: int, content_type: str) -> str:
        """Store the whole stream as a private file in the folder, which is made if need be, and return its id.

        Not idempotent: of two files of one name HubSpot renames the second. The caller guards it with `find`.
        """
        _, answer = self._ask(
            "upload file",
            partial(self._post, folder, name, body, size_bytes, content_type),
            creates=True,
            size_bytes=size_bytes,
        )
        return str(answer["id"])

    def check(self) -> None:
        """List at most one file.

        Raises:
            ConfigurationError: the token lacks the scope `files`.
        """
        path, query = "/files/v3/files/search", [("limit", 1)]
        read = partial(self._client.call_api, path, "GET", query_params=query, auth_settings=["oauth2"])
        status, _ = self._ask("list files", read, expect=(403,), yields="results")
        if status == HTTPStatus.FORBIDDEN:
            raise ConfigurationError(
                'HubSpot: HUBSPOT_API_KEY lacks the scope "files": add it, or set [support] files to none or r2'
            )

    def _post(
        self,
        folder: str,
        name: str,
        body: BinaryIO,
        size_bytes: int,
        content_type: str,
        *,
        _preload_content: bool,
        _request_timeout: tuple[float, float],
    ) -> Any:
        """Send the form as a stream, and return urllib3's answer, read whole."""
        del _preload_content
        boundary = uuid4().hex
        fields = {"folderPath": folder, "fileName": name, "options": json.dumps(_OPTIONS)}
        head = "".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'
            for key, value in fields.items()
        )
        head += f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        head += f"Content-Type: {content_type}\r\n\r\n"
        form = _Form(head.encode(), body, f"\r\n--{boundary}--\r\n".encode())
        connect_s, read_s = _request_timeout
        headers = {
            "Authorization": f"Bearer {self._client.configuration.access_token}",
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(form.frame_bytes + size_bytes),
        }
        return self._client.rest_client.pool_manager.request(
            "POST",
            f"{self._client.configuration.host}/files/v3/files",
            body=io.BufferedReader(form),
            headers=headers,
            preload_content=True,
            timeout=Timeout(connect=connect_s, read=read_s),
        )


class _Form(io.RawIOBase):
    """A stream with bytes before it and behind it."""

    def __init__(self, head: bytes, body: BinaryIO, end: bytes) -> None:
        body.seek(0)
        self.frame_bytes = len(head) + len(end)
        self._streams: list[BinaryIO] = [io.BytesIO(head), body, io.BytesIO(end)]

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        while self._streams:
            if piece := self._streams[0].read(len(view)):
                view[: len(piece)] = piece
                return len(piece)
            del self._streams[0]
        return 0
