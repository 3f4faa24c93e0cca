"""Write the weekly digest: how many messages of each kind, how fast, which models came, what failed."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from statistics import median
from typing import TYPE_CHECKING

from poller.escaping import http_url, https_url
from poller.model import Outcome
from poller.rendering import mail_page, unanswered
from poller.rendering.chart import Chart, as_text
from poller.rendering.failure import FailureLine, failure_line
from poller.rendering.french_time import JOURS, duration, period
from poller.rendering.phrases import NBSP, marker
from poller.rendering.template import render
from poller.rendering.week import WEEK

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from email.message import EmailMessage

    from poller.model import Preview
    from poller.rendering.week import Week


FAILURES = 20  # that are named
PORTRAITS = 12  # that are shown
_SHOWN = (Outcome.SUPPORT, Outcome.MODELISATION)  # by the parts of a column
_PARTS = (("Support", "#3b82f6"), ("Modélisation", "#d97706"))
_SURE_MIN = 20  # sure opinions in a week, from which their share that is right says something
_SURE_RIGHT = 0.95  # below which the model should learn anew: it is sure from where 98.5 % were right
_NOTABLE = 1.25  # growth from which a change is called better or worse


@dataclass(frozen=True, slots=True)
class Tile:
    """A number of the week beside that of the week before."""

    label: str
    value: str  # digits and units, apart by no-break spaces
    before: str = ""  # likewise; "" if nothing is known of that week
    mark: str = ""  # ▲ or ▼ before it, "" if the two are the same
    tone: str = ""  # "good" or "bad"; "" if the change is neither


@dataclass(frozen=True, slots=True)
class DigestPage:
    """Content of the letter, before it is set as text and as HTML. All of its text is raw, not escaped."""

    kicker: str
    title: str
    summary: str  # that an inbox shows beside the subject
    tiles: Sequence[Tile]
    checks: Sequence[str]  # a sentence each
    chart: Chart | None
    portraits: Sequence[tuple[str, str, str]]  # URL of the picture, caption, URL of the ticket or subtask
    more_portraits: int  # that are not shown
    failures: Sequence[FailureLine]
    more_failures: int
    unanswered: Sequence[tuple[str, str]]  # label and URL
    more_unanswered: int
    facts: Sequence[tuple[str, str]]
    reference: str


def letter(
    week: Week, *, account: str, sender: str, recipient: str, now: datetime, before: Week | None = None
) -> EmailMessage:
    """Compose the mail with the week on one page.

    `account` is the mailbox that it is about, `before` the week before, None if the service did not run in all of it.
    """
    page = _page(week, before, account)
    failed = week.count(Outcome.FAILED)
    subject = f"[Semaine] {page.title}" + (f", {_count(failed, 'échec')}" if failed else "")
    message = mail_page.letter(page.reference, subject, "digest", sender=sender, recipient=recipient, now=now)
    message.set_content(_text(page))
    message.add_alternative(render("digest.html", page=page), subtype="html")
    return message


def _page(week: Week, before: Week | None, account: str) -> DigestPage:
    chart = _chart(week)
    failed = [each for each in week.messages if each.outcome is Outcome.FAILED]
    portraits = [
        (preview.url, _caption(preview), link.url if (link := each.subtask or each.ticket) else "")
        for each in week.messages
        for preview in each.portraits
        if https_url(preview.url)
    ]
    tiles = _tiles(week, before)
    return DigestPage(
        kicker=period(week.begins, week.ends),
        title=f"{_count(len(week.messages), 'message')} en une semaine",
        summary=" · ".join(f"{tile.label}{NBSP}: {tile.value}" for tile in tiles),
        tiles=tiles,
        checks=_checks(week),
        chart=chart if chart.most else None,
        portraits=portraits[:PORTRAITS],
        more_portraits=max(0, len(portraits) - PORTRAITS),
        failures=[failure_line(each, week) for each in failed[:FAILURES]],
        more_failures=max(0, len(failed) - FAILURES),
        unanswered=[unanswered.line(each) for each in week.unanswered.tickets[:FAILURES]],
        more_unanswered=max(0, len(week.unanswered.tickets) - FAILURES),
        facts=[*_facts(week), *_learned(week, before)] if week.messages else (),
        # Two mailboxes have two digests, even where both go to the same admin.
        reference=f"{week.ends:%Y%m%d}.{hashlib.sha256(account.encode()).hexdigest()[:8]}",
    )


def _tiles(week: Week, before: Week | None) -> list[Tile]:
    known = week.delays_s
    known_before = before.delays_s if before else []
    delay_s = median(known) if known else None
    delay_before_s = median(known_before) if known_before else None
    kinds = [
        _number(label, week.count(outcome), before.count(outcome) if before else None)
        for outcome, (label, _) in zip(_SHOWN, _PARTS, strict=True)
    ]
    return [
        *kinds,
        _tile(
            "Délai médian",
            "–" if delay_s is None else duration(delay_s),
            "" if delay_before_s is None else duration(delay_before_s),
            _ratio(delay_s, delay_before_s),
            less_is_better=True,
        ),
        _number("À vérifier", week.to_check, before.to_check if before else None, less_is_better=True),
    ]


def _number(label: str, value: int, before: int | None, *, less_is_better: bool = False) -> Tile:
    shown = "" if before is None else str(before)
    return _tile(label, str(value), shown, _ratio(value, before), less_is_better=less_is_better)


def _ratio(value: float | None, before: float | None) -> float:
    """Return the growth over the week before. 1 if one of the two is unknown."""
    if value is None or before is None:
        return 1.0
    return (value + 1) / (before + 1)  # a week may have none


def _tile(label: str, value: str, before: str, ratio: float, *, less_is_better: bool) -> Tile:
    """Compare two numbers as they are written: seconds make no difference between hours."""
    if value == before or ratio == 1:
        return Tile(label, value, before)
    small = 1 / _NOTABLE < ratio < _NOTABLE
    tone = "" if small or not less_is_better else "bad" if ratio > 1 else "good"
    return Tile(label, value, before, "▲" if ratio > 1 else "▼", tone)


def _checks(week: Week) -> list[str]:
    checks = []
    if failed := week.count(Outcome.FAILED):
        checks.append(f"{_count(failed, 'message')} en échec, à reprendre dans la boîte des échecs.")
    if late := week.count(Outcome.WAITING, Outcome.WORKING):
        checks.append(f"{_count(late, 'message')} en attente dans la boîte de réception.")
    if unsure := week.unsure:
        checks.append(
            f"{unsure} classement{'s' if unsure > 1 else ''} incertain{'s' if unsure > 1 else ''}{NBSP}: "
            f"relisez ces demandes, signalées «{NBSP}à{NBSP}vérifier{NBSP}»."
        )
    if waits := len(week.unanswered.tickets):
        checks.append(f"{unanswered.counted(waits)} sans réponse dans HubSpot{NBSP}: la liste est plus bas.")
    checks += unanswered.unchecked(week.unanswered)
    sure, right = week.sure_opinions
    if sure >= _SURE_MIN and right / sure < _SURE_RIGHT:
        checks.append(
            f"Le modèle appris se trompe plus qu’il ne devrait{NBSP}: {right} avis sûrs sur {sure} étaient justes. "
            f"Relancez «{NBSP}poller learn{NBSP}»."
        )
    if not week.messages:
        checks.append(
            f"La boîte aux lettres n’a rien reçu. Si cela vous étonne, envoyez-lui un message d’essai{NBSP}: "
            "vous devez en recevoir la notification."
        )
    return checks


def _facts(week: Week) -> list[tuple[str, str]]:
    """Return the numbers that no tile shows."""
    answers = sum(each.is_answer and each.outcome.is_dispatched for each in week.messages)
    facts = [
        ("Réponses à une demande en cours", str(answers)),
        ("Délai le plus long, de l’arrivée au ticket", duration(max(week.delays_s)) if week.delays_s else "–"),
        ("Ignorés (réponses automatiques, listes, indésirables)", str(week.count(Outcome.IGNORED))),
        ("Classements incertains", str(week.unsure)),
        ("Classements corrigés", str(week.corrections)),
        ("Échecs", str(week.count(Outcome.FAILED))),
    ]
    if gone := week.count(Outcome.GONE):
        facts.append(("Retirés de la boîte avant la fin du traitement", str(gone)))
    return facts


def _learned(week: Week, before: Week | None) -> list[tuple[str, str]]:
    """Return what the learnt model was worth. Nothing where it had no opinion."""
    if not any(each.opinion for each in week.messages):
        return []
    sure, right = week.sure_opinions
    earlier, earlier_right = before.sure_opinions if before else (0, 0)
    then = f" (semaine précédente{NBSP}: {earlier_right} sur {earlier})" if earlier else ""
    facts = [("Avis sûrs du modèle appris, justes à ce jour", f"{right} sur {sure}{then}")]
    if decided := sum(each.decided_by == "learned" for each in week.messages):
        facts.append(("Demandes que le modèle appris a classées, sans Claude", str(decided)))
    if spared := sum(each.decided_by == "claude" for each in week.surely_judged):
        facts.append(("Demandes qu’il aurait pu classer à la place de Claude", str(spared)))
    if moved := week.moved_with_opinion:
        agreed = sum(each.is_right for each in moved)
        facts.append(("Demandes reclassées où il avait déjà le bon avis", f"{agreed} sur {len(moved)}"))
    return facts


def _caption(preview: Preview) -> str:
    triangles = preview.facts.triangles if preview.facts else None
    if not triangles:  # a cloud of points has none
        return "Modèle 3D"
    return f"{triangles:,}".replace(",", NBSP) + f"{NBSP}triangle{'s' if triangles > 1 else ''}"


def _chart(week: Week) -> Chart:
    """Build the chart of messages of each kind a day, the same messages that the tiles count."""
    days = [(week.begins + timedelta(days=number)).date() for number in range(WEEK.days)]
    counts = Counter((each.seen_at.astimezone(week.ends.tzinfo).date(), each.outcome) for each in week.messages)
    columns = [(f"{JOURS[day.weekday()][:3]}. {day.day}", [counts[day, outcome] for outcome in _SHOWN]) for day in days]
    return Chart("Demandes par jour", _PARTS, columns)


def _text(page: DigestPage) -> str:
    blocks = [f"{page.kicker}\n{page.title}"]
    if page.checks:
        blocks.append("\n".join([f"À regarder{NBSP}:", *(f"- {line}" for line in page.checks)]))
    before = f" (semaine précédente{NBSP}: {{}})"
    tiles = [
        f"{tile.label}{NBSP}: {tile.value}{before.format(tile.before) if tile.before else ''}" for tile in page.tiles
    ]
    blocks.append("\n".join([*tiles, *(f"{label}{NBSP}: {value}" for label, value in page.facts)]))
    if page.chart:
        blocks.append(as_text(page.chart))
    if page.portraits:
        lines = [f"- {caption}{NBSP}: {http_url(link) or http_url(url)}" for url, caption, link in page.portraits]
        lines += [f"et {page.more_portraits} de plus"] if page.more_portraits else []
        blocks.append("\n".join([f"Modèles reçus{NBSP}:", *lines]))
    for number, failure in enumerate(page.failures):
        head = [f"Échecs{NBSP}:"] if number == 0 else []
        links = [f"  {label}{NBSP}: {http_url(url)}" for label, url in failure.links]
        said = [f"✗ {failure.title}{NBSP}: {failure.reason}", f"  Arrivé {failure.when} {failure.marker}"]
        blocks.append("\n".join([*head, *said, *links]))
    if page.more_failures:
        blocks.append(f"et {page.more_failures} de plus")
    if page.unanswered:
        lines = [f"- {label}{NBSP}: {http_url(url)}" for label, url in page.unanswered]
        lines += [f"et {page.more_unanswered} de plus"] if page.more_unanswered else []
        blocks.append("\n".join([f"Sans réponse{NBSP}:", *lines]))
    return "\n\n".join([*blocks, marker(page.reference)]) + "\n"


def _count(number: int, noun: str) -> str:
    return f"{number or 'Aucun'} {noun}{'s' if number > 1 else ''}"
