"""The file manager of a HubSpot account: the part of the Files API (v3) that we use."""

from __future__ import annotations

import itertools
import json
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from integrations.sandbox import hubspot_schema as schema
from integrations.sandbox.stand_in import RejectedError

if TYPE_CHECKING:
    from integrations.sandbox.loopback_server import Recorded

_ACCESS = {"PRIVATE", "PUBLIC_INDEXABLE", "PUBLIC_NOT_INDEXABLE", "HIDDEN_PRIVATE", "HIDDEN_SENSITIVE"}


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of the file manager."""

    id: str
    path: str  # with its folder, from "/" on
    access: str
    content_type: str
    body: bytes = field(repr=False)
    created_at: float = field(default_factory=time.time)  # seconds since the epoch


class FileManager:
    """An account without files."""

    def __init__(self) -> None:
        self.files: dict[str, StoredFile] = {}  # by path, oldest first
        self._ids = itertools.count(180_000_000_001)

    def answer(self, request: Recorded) -> tuple[int, Any]:
        """Carry out a request."""
        match request.method, request.segments:
            case "POST", ("files", "v3", "files"):
                return 201, _shown(self._upload(_form(request)))
            case "GET", ("files", "v3", "files", "stat", *path):
                found = self.files.get("/" + "/".join(path))
                if found is None:
                    raise RejectedError(404, schema.usual_error(404))
                return 200, {"file": _shown(found)}
            case "GET", ("files", "v3", "files", "search"):
                limit = int(request.query.get("limit", ["100"])[0])
                return 200, {"results": [_shown(each) for each in list(self.files.values())[:limit]]}
        raise RejectedError(404, schema.usual_error(404))

    def _upload(self, form: dict[str, tuple[str, bytes]]) -> StoredFile:
        options = json.loads(form["options"][1]) if "options" in form else {}
        if options.get("access") not in _ACCESS:
            raise RejectedError(400, schema.validation_error("options.access is required"))
        if "file" not in form or ("folderPath" in form) == ("folderId" in form):
            raise RejectedError(400, schema.validation_error("file and one of folderId and folderPath are required"))
        folder = "/" + form["folderPath"][1].decode().strip("/")
        name = form["fileName"][1].decode()
        path = f"{folder}/{name}"
        stem, dot, suffix = path.rpartition(".")
        # A second file of one name is renamed.
        for number in itertools.count(1):
            if path not in self.files or options.get("overwrite"):
                break
            path = f"{stem}-{number}{dot}{suffix}"
        content_type, body = form["file"]
        stored = StoredFile(str(next(self._ids)), path, options["access"], content_type, body)
        self.files[path] = stored
        return stored


def _form(request: Recorded) -> dict[str, tuple[str, bytes]]:
    """Return the content type and the content of each field of a form (RFC 7578)."""
    boundary = re.fullmatch(r"multipart/form-data; boundary=(\S+)", request.headers.get("content-type", ""))
    if boundary is None:
        raise RejectedError(415, schema.validation_error("multipart/form-data was expected"))
    found = {}
    for part in (b"\r\n" + request.raw).split(b"\r\n--" + boundary[1].encode())[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        name = re.search(rb'[; ]name="([^"]*)"', head)
        content_type = re.search(rb"(?i)content-type: (\S+)", head)
        if name:
            found[name[1].decode()] = (content_type[1].decode() if content_type else "", content)
    return found


def _shown(file: StoredFile) -> dict[str, Any]:
    stem, _, suffix = file.path.rpartition("/")[2].rpartition(".")
    return {
        "id": file.id,
        "createdAt": schema.iso(file.created_at),
        "updatedAt": schema.iso(file.created_at),
        "archived": False,
        "parentFolderId": "1",
        "name": stem or suffix,
        "path": file.path,
        "size": len(file.body),
        "type": "OTHER",
        "extension": suffix if stem else "",
        "access": file.access,
        "isUsableInContent": True,
        "url": f"https://147000001.fs1.hubspotusercontent-eu1.net/hubfs/147000001{file.path}",
    }
