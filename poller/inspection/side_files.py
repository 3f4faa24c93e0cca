"""Give a model the files that it names: those of the same mail, or of the same archive, and no others.

A name is looked up in a table. It is never opened as a path, so it cannot lead anywhere else.
"""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass, field
from lzma import LZMAError
from typing import TYPE_CHECKING, BinaryIO, Final
from urllib.parse import unquote

from poller.formats import magic
from poller.formats.references import last_part

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping

MAX_BYTES: Final = 256 << 20  # of one file, unpacked
MAX_TOTAL_BYTES: Final = 512 << 20  # of all that one model names
_MAX_MEMBERS: Final = 20_000  # of an archive
_MAX_MISSING: Final = 20
_NAME_CHARS: Final = 150


class TooMuchError(Exception):
    """A file is larger than what is looked at."""


@dataclass(slots=True)
class SideFiles:
    """The files beside a model. It has the methods that trimesh asks of a resolver."""

    sources: Mapping[str, Callable[[], bytes]]  # by path, as the mail or the archive has it
    folder: str = ""  # of the model within the archive, with "/" at its end
    missing: list[str] = field(default_factory=list)  # names that there are none of, in order, each once
    _read: dict[str, bytes] = field(default_factory=dict)
    _names: dict[str, str] = field(default_factory=dict)  # the path of each, by path and by name in lower case

    def __post_init__(self) -> None:
        """Index the files. Of two with the same name, the one beside the model counts, then the first."""
        for path in sorted(self.sources, key=lambda path: not path.startswith(self.folder)):
            self._names.setdefault(path.casefold(), path)
            self._names.setdefault(last_part(path).casefold(), path)

    def find(self, name: str) -> str | None:
        """Return the path of a file that a model names, None and a note if there is none."""
        said = name.strip().strip("\"'").replace("\\", "/")
        for tried in (said, unquote(said)):
            plain = tried.removeprefix("./")
            for key in ((self.folder + plain).casefold(), plain.casefold(), last_part(plain).casefold()):
                if key in self._names:
                    return self._names[key]
        shown = last_part(unquote(said)) or said
        shown = "".join(letter for letter in shown if letter.isprintable())[:_NAME_CHARS]
        if shown and shown not in self.missing and len(self.missing) < _MAX_MISSING:
            self.missing.append(shown)
        return None

    def get(self, name: str) -> bytes:
        """Return the content of a file that a model names.

        Raises:
            FileNotFoundError: there is none.
            TooMuchError: it is too large.
        """
        path = self.find(name)
        if path is None:
            raise FileNotFoundError(name)
        if path not in self._read:
            content = self.sources[path]()
            if sum(map(len, self._read.values())) + len(content) > MAX_TOTAL_BYTES:
                raise TooMuchError
            self._read[path] = content
        return self._read[path]

    def __getitem__(self, name: str) -> bytes:
        """Return the same as `get`."""
        return self.get(name)

    def __contains__(self, name: str) -> bool:
        """Return whether there is such a file."""
        return self.find(name) is not None

    def keys(self) -> Iterable[str]:
        """Return the paths of all files."""
        return self.sources.keys()

    def namespaced(self, folder: str) -> SideFiles:
        """Return the same files: their directories do not count."""
        del folder
        return self


def read_all(stream: BinaryIO) -> bytes:
    """Return all of a stream.

    Raises:
        TooMuchError: it is larger than 256 MB.
        OSError: it cannot be read.
    """
    content = stream.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise TooMuchError
    return content


def files_of(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """Return the files of a zip, at most 20,000, without what a Mac adds to each of them ("._name", RFC 1740)."""
    members = archive.infolist()[:_MAX_MEMBERS]
    names = {member.filename for member in members if member.file_size}
    return [member for member in members if not (member.is_dir() or _is_of_mac(archive, member, names))]


def _is_of_mac(archive: zipfile.ZipFile, member: zipfile.ZipInfo, names: Container[str]) -> bool:
    if member.filename.startswith("__MACOSX/"):
        return True
    folder, slash, name = member.filename.rpartition("/")
    if not name.startswith("._") or f"{folder}{slash}{name[2:]}" not in names:
        return False
    try:
        with archive.open(member) as stream:
            return stream.read(len(magic.APPLE_DOUBLE)) == magic.APPLE_DOUBLE
    except (RuntimeError, OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error, LZMAError):
        # Encrypted or damaged: it stays a file.
        return False


def of_archive(archive: zipfile.ZipFile) -> dict[str, Callable[[], bytes]]:
    """Return the files of a zip by path. A file is unpacked when it is asked for, into memory."""

    def reader(member: zipfile.ZipInfo) -> Callable[[], bytes]:
        def read() -> bytes:
            with archive.open(member) as stream:
                return read_all(stream)  # type: ignore[arg-type]

        return read

    return {member.filename.replace("\\", "/"): reader(member) for member in files_of(archive)}
