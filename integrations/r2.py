"""Upload public files to Cloudflare R2 by its S3 interface (https://developers.cloudflare.com/r2/api/s3/api/)."""

from __future__ import annotations

from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import quote
from uuid import uuid4

import httpx2 as httpx
from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NeverConnectedError

from integrations.errors import ConfigurationError, CredentialsError, PermanentError, ServiceError, TransientError
from integrations.net.deadline import CALL_S, Deadline, http_events, watched_pools
from integrations.net.edge import ABOUT_THE_KEY, blocks_told_apart, unexplained
from integrations.net.failures import describe_failure
from integrations.net.retry_after import parse_retry_after

if TYPE_CHECKING:
    from collections.abc import Iterator

# The size of an upload's buffer. R2 requires all parts but the last to have the same size, at least 5 MiB.
_PART_BYTES = 8 * 1024 * 1024
_PIECE_BYTES = 256 * 1024

# No connection, or a broken one. botocore turns an unreadable answer into a ClientError with the status 500.
_BROKEN = (NeverConnectedError, HTTPClientError, TimeoutError)


class R2:
    """A client of one bucket. Safe to share between threads."""

    def __init__(
        self,
        access_key_id: str,
        secret_access_key: str,
        bucket_name: str,
        endpoint_url: str,
        public_url: str,
        *,
        connect_timeout_s: float = 10.0,
        read_timeout_s: float = 30.0,
        deadline_s: float = CALL_S,
    ) -> None:
        """Take the account's `endpoint_url`, without the bucket, and the `public_url` of the bucket.

        `deadline_s` bounds a whole call. An upload has additional time for its size.
        """
        self._deadline_s, self._timeout = deadline_s, httpx.Timeout(read_timeout_s, connect=connect_timeout_s)
        self._bucket_name = bucket_name
        self._public_url = public_url.rstrip("/")
        # A session of its own: making a client from the shared one is not safe between threads.
        self._s3 = Session().client(
            "s3",
            aws_access_key_id=access_key_id,
            aws_secret_access_key=secret_access_key,
            endpoint_url=endpoint_url,
            config=Config(
                region_name="auto",
                signature_version="s3v4",
                # TLS protects the body, and R2 requires no digest of it.
                s3={"addressing_style": "path", "payload_signing_enabled": False},
                # R2 answers "Unauthorized" to the checksum trailer that boto3 adds by default.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                retries={"mode": "standard", "total_max_attempts": 1},
                connect_timeout=connect_timeout_s,
                read_timeout=read_timeout_s,
            ),
        )
        # boto3 offers no other access to its connections. The dictionary applies to proxies as well.
        pools = self._s3._endpoint.http_session._pool_classes_by_scheme  # type: ignore[attr-defined]  # noqa: SLF001
        pools.update(watched_pools(pools))
        # boto3 has no parameter for it (https://developers.cloudflare.com/r2/api/s3/extensions/#conditional-operations).
        self._s3.meta.events.register("before-call.s3.CreateMultipartUpload", _if_none_match)

    def upload(self, key: str, body: BinaryIO, size_bytes: int, content_type: str, content_disposition: str) -> str:
        """Store the whole stream under the key, and return its public URL.

        Idempotent: an object that exists under the key is left as it is, so a key must identify its content. The
        stream is read from its first byte, at most 8 MiB at a time. It may have fewer than `size_bytes`, and no more.
        `content_disposition` is ASCII (RFC 6266).

        Raises:
            PermanentError: R2 rejects the file, or the key, which may have up to 1,024 bytes.
        """
        with blocks_told_apart(self._first_key):
            self._upload(key, body, size_bytes, content_type, content_disposition)
        return f"{self._public_url}/{quote(key, safe='/~')}"

    def check(self) -> str:
        """List at most one object, and return a one-line summary.

        Raises:
            ConfigurationError: the keys are refused, or there is no such bucket.
        """
        self._first_key()
        return f"R2 bucket {self._bucket_name}"

    def check_public(self) -> str:
        """Request a file from the public address, as a customer does, and return a one-line summary.

        The file is one of the bucket's, or one that does not exist when the bucket is empty. For the latter a bucket
        answers 404, or 403 when the server before it hides which files exist. A site of another kind may do the same.

        Raises:
            TransientError: the address does not answer, or answers 408, 425, 429 or 5xx.
            ConfigurationError: the address is not this bucket's, or the public may not read it. Also as in `check`.
        """
        key = self._first_key()
        address = f"{self._public_url}/{quote(key or f'check-{uuid4().hex}', safe='/~')}"
        try:
            with (
                Deadline(self._deadline_s),
                httpx.Client(timeout=self._timeout, event_hooks=http_events(), follow_redirects=True) as client,
                # The file may be of any size, so its body is not read.
                client.stream("GET", address) as response,
            ):
                status = response.status_code
        except (httpx.HTTPError, TimeoutError) as error:
            raise TransientError(f"{self._public_url}: {describe_failure(error)}", outcome_unknown=False) from error
        seen = f"{self._public_url}: HTTP {status} for a file that is {'in the bucket' if key else 'not there'}"
        if status in ({HTTPStatus.OK} if key else {HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN}):
            return f"{seen}, as it should be"
        if status in {408, 425, 429} or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise TransientError(seen, outcome_unknown=False)
        raise ConfigurationError(f"{seen}: look at R2_PUBLIC_URL, and whether the bucket has public access there")

    def _first_key(self) -> str:
        """Return the first key of the bucket, "" when it is empty. Raises the errors of `check`."""
        try:
            with Deadline(self._deadline_s):
                answer = self._s3.list_objects_v2(Bucket=self._bucket_name, MaxKeys=1)
            _field("list", answer, "Name")
        except ClientError as error:
            raise _refusal("list", error) from error
        except _BROKEN as error:
            raise _broken("list", error) from error
        return next((str(each["Key"]) for each in answer.get("Contents", ())), "")

    def _upload(self, key: str, body: BinaryIO, size_bytes: int, content_type: str, content_disposition: str) -> None:
        if body.seekable():
            body.seek(0)
        try:
            with Deadline(self._deadline_s, size_bytes=size_bytes):
                if size_bytes > _PART_BYTES:
                    self._upload_parts(key, body, content_type, content_disposition)
                else:
                    # Not as a stream: boto3 reads one up to three times, for its length, its signature and its content.
                    self._upload_whole(key, next(_parts(body), bytearray()), content_type, content_disposition)
        except ClientError as error:
            if error.response["Error"]["Code"] != "PreconditionFailed":
                raise _refusal("upload", error) from error
        except _BROKEN as error:
            raise _broken("upload", error) from error

    def _upload_whole(self, key: str, body: bytearray, content_type: str, content_disposition: str) -> None:
        answer = self._s3.put_object(
            Bucket=self._bucket_name,
            Key=key,
            Body=body,  # type: ignore[arg-type]  # bytearrays are taken
            ContentType=content_type,
            ContentDisposition=content_disposition,
            IfNoneMatch="*",
        )
        _field("upload", answer, "ETag")

    def _upload_parts(self, key: str, body: BinaryIO, content_type: str, content_disposition: str) -> None:
        answer: Any = self._s3.create_multipart_upload(
            Bucket=self._bucket_name, Key=key, ContentType=content_type, ContentDisposition=content_disposition
        )
        upload_id = _field("upload", answer, "UploadId")
        try:
            parts: list[Any] = []
            for number, part in enumerate(_parts(body), start=1):
                answer = self._s3.upload_part(
                    Bucket=self._bucket_name,
                    Key=key,
                    UploadId=upload_id,
                    PartNumber=number,
                    Body=part,  # type: ignore[arg-type]  # bytearrays are taken
                )
                parts.append({"PartNumber": number, "ETag": _field("upload", answer, "ETag")})
            answer = self._s3.complete_multipart_upload(
                Bucket=self._bucket_name,
                Key=key,
                UploadId=upload_id,
                MultipartUpload={"Parts": parts},
                IfNoneMatch="*",
            )
            if answer.get("Key") != key:  # Ceph completes a repeated upload with an empty ETag.
                _field("upload", answer, "ETag")
        except (BotoCoreError, ClientError, TransientError):
            # The first failure is the one to report. R2 itself deletes leftover parts after seven days.
            # The caller's deadline may be over, so the abort has its own.
            with suppress(BotoCoreError, ClientError, TimeoutError), Deadline(self._deadline_s):
                self._s3.abort_multipart_upload(Bucket=self._bucket_name, Key=key, UploadId=upload_id)
            raise


def _if_none_match(params: dict[str, Any], **_: object) -> None:
    """Have R2 refuse a large file that lies there already, before any part of it is sent again."""
    params["headers"]["If-None-Match"] = "*"


def _parts(body: BinaryIO) -> Iterator[bytearray]:
    """Yield the stream in pieces of one size, except for the last. Each reuses the buffer of the one before it."""
    part = bytearray(_PART_BYTES)
    while size_bytes := _fill(part, body):
        if size_bytes < _PART_BYTES:
            yield part[:size_bytes]
            return
        yield part


def _fill(part: bytearray, body: BinaryIO) -> int:
    """Fill the part from the stream and return the bytes read, fewer only at its end.

    A raw stream may return less than it is asked for, so it is read repeatedly.
    """
    filled = 0
    while piece := body.read(min(_PIECE_BYTES, len(part) - filled)):
        part[filled : filled + len(piece)] = piece
        filled += len(piece)
    return filled


def _field(call: str, answer: Any, name: str) -> str:
    """Return a field that every good answer has.

    A captive portal's page is a 200 too, and botocore parses it as an empty answer.
    """
    if not answer.get(name):
        raise TransientError(f"R2 {call}: HTTP 200 without {name}")
    return str(answer[name])


def _broken(call: str, error: Exception) -> TransientError:
    """Return the error for a failed connection. The outcome is known only if no connection was made."""
    return TransientError(
        f"R2 {call}: {describe_failure(error)}", outcome_unknown=not isinstance(error, NeverConnectedError)
    )


def _refusal(call: str, error: ClientError) -> ServiceError | ConfigurationError:
    """Return the error that a status stands for (https://developers.cloudflare.com/r2/api/error-codes/)."""
    code = error.response["Error"]["Code"]
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    headers = error.response["ResponseMetadata"]["HTTPHeaders"]
    # Without a code in the answer, botocore repeats the status, or of a page of HTML gives none.
    is_own = code not in {"", str(status)}
    line = f"R2 {call}: HTTP {status} {code}" if is_own else f"R2 {call}: HTTP {status}"
    detail = error.response["Error"].get("Message", "")
    if code == "NoSuchBucket":
        return ConfigurationError(f"{line}: look at R2_BUCKET_NAME and R2_ENDPOINT_URL")
    if status in ABOUT_THE_KEY and not is_own:
        return unexplained(line)
    if status in ABOUT_THE_KEY:
        return CredentialsError(f"{line}: look at R2_ACCESS_KEY_ID, R2_SECRET_ACCESS_KEY and the token's bucket")
    # RequestTimeout is S3's 408, sent as a 400. An upload that no longer exists is started again.
    did_nothing = status in {408, 425, 429} or code in {"RequestTimeout", "NoSuchUpload"}
    if did_nothing or not HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return TransientError(
            line,
            detail=detail,
            retry_after_s=parse_retry_after(headers.get("retry-after")),
            outcome_unknown=not did_nothing,
        )
    return PermanentError(line, detail=detail)
