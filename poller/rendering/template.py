"""Set values into the HTML templates of the letters and of the form page."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import FileSystemLoader, StrictUndefined, select_autoescape
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from poller.escaping import http_url, https_url, one_line, plain_text
from poller.rendering.phrases import listed, marker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from jinja2 import Environment

FOLDER = Path(__file__).with_name("templates")


def render(name: str, **values: Any) -> str:
    """Return the template with these values. All their words are raw: the template escapes them."""
    return _environment().get_template(name).render(values)


@cache
def _environment() -> Environment:
    environment = environment_of(FOLDER)
    for name in environment.list_templates():
        environment.get_template(name)  # Now, so that an upgrade of the files changes no running process.
    return environment


def environment_of(*folders: Path) -> Environment:
    """Return what sets values into the templates of these folders, the first that has one. Only text is not escaped."""
    # Whoever may edit the words of a letter to customers is not thereby given this process.
    environment = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(folders),
        autoescape=select_autoescape(disabled_extensions=("txt",), default=True),
        undefined=StrictUndefined,
        finalize=_plain,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
    )
    environment.filters |= {
        "fitting": _fitting,
        "http_url": http_url,
        "https_url": https_url,
        "lines": _lines,
        "marker": marker,
        "one_line": one_line,
    }
    return environment


def _plain(value: Any) -> Any:
    """Return words without invisible characters. It is applied to all that a template writes."""
    return plain_text(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _lines(text: str) -> list[str]:
    return plain_text(text).split("\n")


def _fitting(entries: Iterable[Any], item: Callable[..., Markup], room_chars: int) -> Iterator[str]:
    """Yield as many entries as fit, each set by the macro `item`, then an item that counts the rest.

    The fields of a tuple are the arguments of the macro. Any other entry is its one argument.
    """
    items = (item(*entry) if isinstance(entry, tuple) else item(entry) for entry in entries)
    return listed(items, room_chars, more=Markup("<li>{}</li>"))
