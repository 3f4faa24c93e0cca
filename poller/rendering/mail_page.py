"""Set a mail to the admin as text and as HTML from one page of content."""

from __future__ import annotations

from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from typing import TYPE_CHECKING

from poller.escaping import header_text, html, html_link, http_url, one_line
from poller.own_mail import HEADER, notification_id
from poller.rendering.phrases import NBSP, listed, marker

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


_BLOCKS = 20  # of the longest bar, in text
_HIGHEST = 85  # width of the longest bar, in percent
_TABLE = 'cellpadding="0" cellspacing="0" border="0"'
_CELL = "padding:0 8px 0 0;font-size:14px;line-height:26px;white-space:nowrap"


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars of several parts, one below the other."""

    title: str
    parts: Sequence[tuple[str, str]]  # name and colour (#rrggbb, to be seen on white and on black)
    bars: Sequence[tuple[str, Sequence[int]]]  # label, and how many of each part


def as_text(chart: Chart) -> str:
    """Render the chart as text, one line per bar."""
    most = max((sum(counts) for _, counts in chart.bars), default=0) or 1
    width = max((len(label) for label, _ in chart.bars), default=0)
    lines = [
        f"{label:<{width}}  {'█' * round(sum(counts) / most * _BLOCKS)} {sum(counts)}" for label, counts in chart.bars
    ]
    return "\n".join([chart.title, *lines])


def as_html(chart: Chart) -> str:
    """Render the chart as an HTML table, one row per bar, with the meaning of the colours below it."""
    most = max((sum(counts) for _, counts in chart.bars), default=0) or 1
    rows = "\n".join(_row(chart, label, counts, most) for label, counts in chart.bars)
    legend = " ".join(f'<span style="color:{colour}">■</span> {html(name)}' for name, colour in chart.parts)
    return (
        f'<p style="font-size:14px;opacity:.75;margin:0 0 4px">{html(chart.title)}</p>\n'
        f'<table width="100%" {_TABLE}>\n{rows}\n</table>\n<p style="font-size:14px;margin:4px 0 20px">{legend}</p>'
    )


def _row(chart: Chart, label: str, counts: Sequence[int], most: int) -> str:
    total = sum(counts)
    bar = ""
    if total:
        cells = "".join(
            f'<td width="{count / total:.0%}" height="16" bgcolor="{colour}" style="font-size:1px">&#160;</td>'
            for (_, colour), count in zip(chart.parts, counts, strict=True)
            if count
        )
        # The number stands behind the bar, in a cell of the same row.
        width = f'width="{_HIGHEST * total / most:.0f}%" align="left" style="margin:5px 0"'
        bar = f"<table {width} {_TABLE}><tr>{cells}</tr></table>"
    number = f'<span style="font-size:14px;line-height:26px">&#160;{total}</span>'
    return f'<tr><td width="1%" style="{_CELL}">{html(label)}</td><td>{bar}{number}</td></tr>'


_FILES_LIMIT_CHARS = 20_000
_POLICY = SMTP.clone(cte_type="7bit")  # not every relay announces 8BITMIME (RFC 6152)

# Colours that are readable on white and on black: a mail client's dark mode changes the page, not always the rest.
_PAGE = "margin:0;padding:24px 16px;font:16px/1.5 -apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"
_COLUMN = "max-width:600px;margin:0 auto;overflow-wrap:anywhere"
_TITLE = "font-size:22px;line-height:1.3;margin:4px 0 20px"
_SMALL = "font-size:14px;margin:0;opacity:.75"
_BOX = "border-left:4px solid #d97706;background:rgba(217,119,6,.12);padding:12px 16px;margin:0 0 20px"
_LABEL = "font-size:14px;opacity:.75"
_BUTTON = (
    "display:inline-block;background:#1d4ed8;color:#ffffff;text-decoration:none;font-weight:600;"
    "padding:10px 18px;border-radius:6px;margin:0 8px 8px 0"
)
_LINK = "color:inherit"
_LIST = "margin:4px 0 0;padding-left:20px"
_LINES = "list-style:none;margin:0 0 16px;padding:0"
_LINE = "padding:6px 0 6px 24px;text-indent:-24px"  # high enough for a finger
_MARK = "display:inline-block;width:24px;text-indent:0;font-weight:700;color:"
_FOOT = "font-size:13px;margin:28px 0 0;padding-top:12px;border-top:1px solid rgba(128,128,128,.4);opacity:.75"

DONE, FAILED, LEFT = "✓", "✗", "–"  # before a line
_MARKS = {DONE: "#16a34a", FAILED: "#dc2626", LEFT: "#808080"}

_FRAME = """<!DOCTYPE html>
<html lang="fr">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<title>{title}</title>
</head>
<body style="{page}">
<div style="{column}">
{body}
</div>
</body>
</html>
"""


@dataclass(frozen=True, slots=True)
class Page:
    """Content of a mail, before it is set as text and as HTML. All of its text is raw, not escaped."""

    kicker: str
    title: str
    box: tuple[str, Sequence[str]]  # its title and its lines; no box without lines
    facts: Sequence[tuple[str, str]]  # label and value; several lines allowed in a value
    buttons: Sequence[tuple[str, str]]  # label and URL
    files: Sequence[tuple[str, str, str]]  # name, size, URL
    reference: str  # of the message, or of the moment; the Message-ID is made of it
    lists: Sequence[tuple[str, Sequence[tuple[str, str, str]]]] = ()  # title; lines: one of the marks, words, URL or ""
    chart: Chart | None = None


def mail(page: Page, subject: str, what: str, *, sender: str, recipient: str, now: datetime) -> EmailMessage:
    """Build the message of a page.

    `what` is a word that tells the kinds of mail apart in the Message-ID.
    """
    message = EmailMessage(policy=_POLICY)
    message["From"] = one_line(sender)
    message["To"] = one_line(recipient)
    message["Subject"] = header_text(subject)
    message["Date"] = now
    message["Message-ID"] = notification_id(page.reference, what)
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834 section 5: no absence notice answers it
    message[HEADER] = "notification"
    message.set_content(_as_text(page))
    message.add_alternative(_as_html(page), subtype="html")
    return message


def _as_text(page: Page) -> str:
    box_title, box_lines = page.box
    blocks = [f"{page.kicker}\n{page.title}"]
    if box_lines:
        blocks.append("\n".join([f"{box_title}{NBSP}:", *(f"- {line}" for line in box_lines)]))
    blocks.append("\n".join(f"{label}{NBSP}: {value}" for label, value in page.facts))
    if page.buttons:
        blocks.append("\n".join(f"{label}{NBSP}: {http_url(url)}" for label, url in page.buttons))
    if page.files:
        lines = listed(
            (f"- {name} ({size_}){NBSP}: {http_url(url)}" for name, size_, url in page.files), _FILES_LIMIT_CHARS
        )
        blocks.append("\n".join([f"Fichiers{NBSP}:", *lines]))
    if page.chart:
        blocks.append(as_text(page.chart))
    for title, entries in page.lists:
        lines = listed((_text_line(*entry) for entry in entries), _FILES_LIMIT_CHARS)
        blocks.append("\n".join([f"{title}{NBSP}:", *lines]))
    blocks.append(marker(page.reference))
    return "\n\n".join(blocks) + "\n"


def _text_line(mark: str, label: str, url: str) -> str:
    return f"{mark} {label}{NBSP}: {http_url(url)}" if http_url(url) else f"{mark} {label}"


def _html_line(mark: str, label: str, url: str) -> str:
    words = html_link(label, url, style=_LINK) if url else html(label)
    return f'<li style="{_LINE}"><span style="{_MARK}{_MARKS[mark]}">{mark}</span>{words}</li>'


def _as_html(page: Page) -> str:
    box_title, box_lines = page.box
    blocks = [f'<p style="{_SMALL}">{html(page.kicker)}</p>', f'<h1 style="{_TITLE}">{html(page.title)}</h1>']
    if box_lines:
        lines = "\n".join(f"<li>{html(line)}</li>" for line in box_lines)
        blocks.append(
            f'<div style="{_BOX}"><strong>{html(box_title)}</strong>\n<ul style="{_LIST}">\n{lines}\n</ul></div>'
        )
    blocks += [
        f'<p style="margin:0 0 12px"><span style="{_LABEL}">{html(label)}</span><br>\n{html(value)}</p>'
        for label, value in page.facts
    ]
    if page.buttons:
        buttons = "\n".join(html_link(label, url, style=_BUTTON) for label, url in page.buttons)
        blocks.append(f'<p style="margin:20px 0 12px">{buttons}</p>')
    if page.files:
        items = (f"<li>{html_link(name, url, style=_LINK)} ({size_})</li>" for name, size_, url in page.files)
        lines = "\n".join(listed(items, _FILES_LIMIT_CHARS, more="<li>{}</li>"))
        blocks.append(f'<p style="margin:0"><span style="{_LABEL}">Fichiers</span></p>')
        blocks.append(f'<ul style="{_LIST}">\n{lines}\n</ul>')
    if page.chart:
        blocks.append(as_html(page.chart))
    for title, entries in page.lists:
        items = (_html_line(*entry) for entry in entries)
        lines = "\n".join(listed(items, 2 * _FILES_LIMIT_CHARS, more="<li>{}</li>"))
        blocks.append(f'<p style="margin:0"><span style="{_LABEL}">{html(title)}</span></p>')
        blocks.append(f'<ul style="{_LINES}">\n{lines}\n</ul>')
    blocks.append(f'<p style="{_FOOT}">{marker(page.reference)}</p>')
    return _FRAME.format(title=html(page.title), page=_PAGE, column=_COLUMN, body="\n".join(blocks))
