"""A stand-in for R2, made of moto's S3: one public bucket, path-style.

It has the same faults and records as the other stand-ins.
"""

from __future__ import annotations

import io
import itertools
import re
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, unquote_to_bytes
from wsgiref.util import setup_testing_defaults

from integrations.sandbox.loopback_server import Answer
from integrations.sandbox.stand_in import RejectedError, StandIn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from integrations.sandbox.loopback_server import Recorded

_numbers = itertools.count(1)  # moto keeps all buckets of a process together, so each stand-in has its own name


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object of the bucket."""

    key: str
    body: bytes = field(repr=False)
    size_bytes: int
    content_type: str
    content_disposition: str  # "" when none was sent

    @property
    def path(self) -> str:
        """The key as it stands in a URL."""
        return quote(self.key, safe="/~")


class S3(StandIn):
    """A bucket whose objects anyone may read at `public_url`/key, as behind a public R2 domain.

    Writing needs a signature with the secret key (SigV4, in the Authorization header).
    """

    def __init__(self) -> None:
        super().__init__()
        self.bucket = f"figurative-files-{next(_numbers)}"
        self.access_key_id = "0123456789abcdef0123456789abcdef"
        self.secret_access_key = "sandbox" * 9 + "x"
        self._app: Any = None

    def start(self) -> None:
        """Create the bucket, and listen."""
        # Imported here: moto takes a second, and a module that only imports this class should not wait for it.
        from moto.moto_server.werkzeug_app import create_backend_app  # noqa: PLC0415

        if self._app is None:
            self._app = create_backend_app("s3")
            self._backend().create_bucket(self.bucket, "us-east-1")
        super().start()

    def reset(self) -> None:
        """Empty the bucket, and forget requests and faults."""
        super().reset()
        with self._lock:
            backend = self._backend()
            for key in list(backend.get_bucket(self.bucket).keys.keys()):
                backend.delete_object(self.bucket, key)

    @property
    def public_url(self) -> str:
        """The URL that the keys are appended to, after a slash."""
        return f"{self.url}/{self.bucket}"

    @property
    def objects(self) -> list[StoredObject]:
        """Every object, sorted by key."""
        with self._lock:
            stored = self._backend().get_bucket(self.bucket).keys.values()
            found = [
                StoredObject(
                    key=each.name,
                    body=each.value,
                    size_bytes=each.size,
                    content_type=str(each.metadata.get("Content-Type", "")),
                    content_disposition=str(each.metadata.get("Content-Disposition", "")),
                )
                for each in stored
            ]
        return sorted(found, key=lambda each: each.key)

    def error(self, status: int) -> object:
        """Return S3's error body for a status."""
        code = {401: "Unauthorized", 403: "AccessDenied", 404: "NoSuchKey", 429: "TooManyRequests", 503: "SlowDown"}
        return _error(code.get(status, "InternalError"))

    def answer(self, request: Recorded) -> Answer:
        """Check that the caller may do this, and let moto do it. The public may read, and the owner may do the rest."""
        public = request.method in {"GET", "HEAD"} and len(request.segments) > 1
        authorization = request.headers.get("authorization", request.query_string)  # the public may ask for an object
        if self.access_key_id not in authorization and not (public and not authorization):
            raise RejectedError(401, self.error(401), {"content-type": "application/xml"})
        if authorization and not authorization.endswith(f"Signature={self._signature(request, authorization)}"):
            raise RejectedError(403, _error("SignatureDoesNotMatch"), {"content-type": "application/xml"})
        if request.method == "PUT" and "partNumber" in request.query and "uploadId" in request.query:
            return self._part(request)
        if request.method == "POST" and "uploads" in request.query_string and self._is_taken(request):
            raise RejectedError(412, _error("PreconditionFailed"), {"content-type": "application/xml"})
        if request.method == "POST" and "uploadId" in request.query:
            return self._complete(request)
        return self._answer_of_moto(request)

    def _answer_of_moto(self, request: Recorded) -> Answer:
        from werkzeug.test import run_wsgi_app  # noqa: PLC0415  it is moto's server's, see `start`

        body, status, headers = run_wsgi_app(self._app, self._environ(request), buffered=True)
        return Answer(int(status.split()[0]), b"".join(body), dict(headers))

    def _is_taken(self, request: Recorded) -> bool:
        """Return whether the condition of a new large file fails, which R2 checks and moto does not."""
        key = unquote(request.path.removeprefix(f"/{self.bucket}/"))
        return request.headers.get("if-none-match") == "*" and key in self._backend().get_bucket(self.bucket).keys

    def _part(self, request: Recorded) -> Answer:
        """Store a part of a large file.

        moto's own code copies it eight times, and digests it three times.
        """
        upload_id, number = request.query["uploadId"][0], int(request.query["partNumber"][0])
        upload = self._backend().get_bucket(self.bucket).multiparts.get(upload_id)
        if upload is None:
            raise RejectedError(404, _error("NoSuchUpload"), {"content-type": "application/xml"})
        part = upload.set_part(number, b"")
        part.content, part.contentsize = request.raw, len(request.raw)
        part._etag = f"{len(request.raw):016x}{number:016x}"  # noqa: SLF001  opaque to a client (RFC 9110)
        return Answer(headers={"ETag": part.etag})

    def _complete(self, request: Recorded) -> Answer:
        """Complete a large file.

        moto's own code copies it twice more, on the processor that the client of a test or a bench runs on.
        """
        bucket = self._backend().get_bucket(self.bucket)
        upload = bucket.multiparts.get(request.query["uploadId"][0])
        content = io.BytesIO()
        if upload is not None:
            upload.complete = partial(_put_together, upload.complete, upload.parts, content)
        answer = self._answer_of_moto(request)
        if answer.status == HTTPStatus.OK and content.tell():
            stored = bucket.keys[upload.key_name]
            stored._value_buffer.close()  # noqa: SLF001
            stored._value_buffer, stored.contentsize = content, content.tell()  # noqa: SLF001  moto copies what it is given
        return answer

    def _signature(self, request: Recorded, authorization: str) -> str:
        """Return the owner's signature of a request (AWS4-HMAC-SHA256 Credential=.., SignedHeaders=.., Signature=..).

        https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
        """
        from botocore.auth import S3SigV4Auth  # noqa: PLC0415  see `start`
        from botocore.awsrequest import AWSRequest  # noqa: PLC0415
        from botocore.credentials import Credentials  # noqa: PLC0415

        said = dict(re.findall(r"(\w+)=([^ ,]+)", authorization))
        signed = {name: request.headers.get(name, "") for name in said.get("SignedHeaders", "").split(";")}
        query = f"?{request.query_string}" if request.query_string else ""
        as_sent = AWSRequest(request.method, f"{self.url}{request.path}{query}", signed, request.raw)
        as_sent.context["timestamp"] = signed.get("x-amz-date", "")
        region = said.get("Credential", "").split("/")[-3:-2] or [""]
        signer = S3SigV4Auth(Credentials(self.access_key_id, self.secret_access_key), "s3", region[0])
        canonical = signer.canonical_request(as_sent)
        return str(signer.signature(signer.string_to_sign(as_sent, canonical), as_sent))

    def _environ(self, request: Recorded) -> dict[str, Any]:
        """Return the request as a WSGI environment (PEP 3333)."""
        environ: dict[str, Any] = {
            "REQUEST_METHOD": request.method,
            "PATH_INFO": unquote_to_bytes(request.path).decode("latin-1"),
            "RAW_URI": request.path,
            "QUERY_STRING": request.query_string,
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": str(self.port),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "CONTENT_TYPE": request.headers.get("content-type", ""),
            "CONTENT_LENGTH": str(len(request.raw)),
            "wsgi.input": io.BytesIO(request.raw),
        }
        environ |= {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in request.headers.items()}
        # R2 has no ACLs: `answer` has decided already, and moto must not apply its own.
        environ.setdefault("HTTP_AUTHORIZATION", f"AWS4-HMAC-SHA256 Credential={self.access_key_id}/x/auto/s3/x")
        setup_testing_defaults(environ)
        return environ

    def _backend(self) -> Any:
        from moto.core.models import DEFAULT_ACCOUNT_ID  # noqa: PLC0415  see `start`
        from moto.s3.models import s3_backends  # noqa: PLC0415

        return s3_backends[DEFAULT_ACCOUNT_ID]["aws"]


def _put_together(
    check: Callable[..., Any], parts: Mapping[int, Any], content: io.BytesIO, listed: Iterable[tuple[int, str]]
) -> Any:
    """Join the parts that a client lists, after moto's checks of them. No checksum of the whole is made."""
    named = list(listed)
    _, etag, _ = check(named)
    content.writelines(parts[number].content for number, _ in named)
    return b"", etag, None


def _error(name: str) -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{name}</Code><Message>{name}</Message></Error>'
