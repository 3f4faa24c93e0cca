"""What a person wrote for this mail, and nothing of what hangs below it."""

from __future__ import annotations

import time

import pytest

from poller.quoting import newest_part

NEW = "Bonjour,\n\nLa porte est trop claire.\n\nCamille"
OLD = "Bonjour, voici la version 3.\nCordialement"
RULE = "_" * 32
QUOTED = "> Bonjour, voici la version 3.\n> Cordialement"

HISTORIES = {
    "gmail": f"Le mar. 3 nov. 2026 à 10:12, Studio <s@example.com> a écrit :\n\n{QUOTED}",
    "gmail, no-break spaces": f"Le mar. 3 nov. 2026 à 10:12, Studio <s@example.com> a écrit\u00a0:\n\n{QUOTED}",
    "gmail, narrow no-break space": f"Le mar. 3 nov. 2026 à 10:12, Studio <s@example.com> a écrit\u202f:\n{QUOTED}",
    "gmail, wrapped": f"Le mar. 3 nov. 2026 à 10:12, Studio\n<studio@example.com> a écrit :\n\n{QUOTED}",
    "gmail, wrapped twice": f"Le mar. 3 nov. 2026 à 10:12, Studio\nFigurative <s@example.com>\na écrit :\n{QUOTED}",
    "gmail, history not marked": f"Le mar. 3 nov. 2026 à 10:12, Studio <s@example.com> a écrit :\n{OLD}",
    "thunderbird": f"Le 03/11/2026 à 10:12, Studio a écrit :\n{QUOTED}",
    "yahoo": f"Le lundi 2 novembre 2026 à 10:00:00 UTC+1, Studio <s@example.com> a écrit :\n{OLD}",
    "address first": f"Studio <studio@example.com> a écrit le 3 nov. 2026 à 10:12 :\n{OLD}",
    "apple, english": f"On 3 Nov 2026, at 10:12, Studio <s@example.com> wrote:\n\n{QUOTED}",
    "german": f"Am 03.11.2026 um 10:12 schrieb Studio <studio@example.com>:\n{QUOTED}",
    "outlook": f"De : Studio <studio@example.com>\nEnvoyé : mardi 3 novembre 2026\nÀ : C\nObjet : V3\n\n{OLD}",
    "outlook, ruled": f"{RULE}\nDe : Studio\nEnvoyé : mardi 3 novembre\nÀ : C\nObjet : V3\n\n{OLD}",
    "outlook, bold": f"*De :* Studio\n*Envoyé :* mardi 3 novembre 2026 10:12\n*À :* Camille\n*Objet :* V3\n\n{OLD}",
    "outlook, spaced": f"De : Studio\n\nEnvoyé : mardi 3 novembre 2026\n\nÀ : Camille\n\nObjet : V3\n\n{OLD}",
    "outlook, english": f"From: Studio\nSent: Tuesday, November 3, 2026\nTo: Camille\nSubject: V3\n\n{OLD}",
    "outlook, original": f"-----Message d'origine-----\nDe : Studio\n\n{OLD}",
    "outlook, apostrophe": f"-----Message d’origine-----\nDe : Studio\n\n{OLD}",
    "zimbra": f"----- Mail original -----\nDe: Studio\n{OLD}",
    "android": f"-------- Message original --------\nDe : Studio\n{OLD}",
    "orange": f"> Message du 02/11/26 10:12\n> De : Studio\n> {OLD}",
    "only marked": QUOTED,
    "iphone": f"Envoyé de mon iPhone\n\n> Le 3 nov. 2026 à 10:12, Studio <s@example.com> a écrit :\n{QUOTED}",
    "iphone, alone": "Envoyé de mon iPhone",
    "outlook mobile": f"Obtenir Outlook pour iOS<https://aka.ms>\n{RULE}\nDe : S\nEnvoyé : 3\nÀ : C\n{OLD}",
    "outlook mobile, html": "[Obtenir Outlook pour Android](https://aka.ms/AAb9ysg)",
    "sent from": "Sent from my Galaxy",
    "signature": "-- \nCamille Roy\nDirectrice, Portes Roy\nUn devis ? Une facture ? Écrivez-nous",
    "signature and history": f"-- \nCamille Roy\n\nLe 3 nov. 2026 à 10:12, Studio <s@example.com> a écrit :\n{QUOTED}",
}  # fmt: skip


@pytest.mark.parametrize("history", HISTORIES.values(), ids=HISTORIES)
def test_what_hangs_below_the_answer_is_left_out(history: str) -> None:
    assert newest_part(f"{NEW}\n\n{history}\n") == NEW


FORWARDS = (
    "---------- Forwarded message ---------",
    "---------- Message transféré ---------",
    "-------- Message transféré --------",
    "Début du message transféré :",
    "Début du message réexpédié\u00a0:",
    "Begin forwarded message:",
)


@pytest.mark.parametrize("line", FORWARDS)
def test_a_forward_is_kept_whole(line: str) -> None:
    text = f"Pour vous.\n\n{line}\nDe : Client <c@example.com>\nDate : mardi\nÀ : moi\nObjet : Vase\n\n{OLD}"
    assert newest_part(text) == text


def test_a_forward_within_the_history_is_history() -> None:
    history = f"Le 3 nov. 2026 à 10:12, X <x@example.com> a écrit :\n\n---------- Forwarded message ---------\n{OLD}"
    assert newest_part(f"{NEW}\n\n{history}") == NEW


KEPT = {
    "a plan's dimensions": "Le tenon :\nDe : 10 mm\nÀ : 20 mm\nObjet : charnière",
    "a sentence with wrote": "Le 3 novembre on m'a écrit que la facture est fausse : voir ci-joint.",
    "in writing": "Merci de me répondre par écrit.\nL. Faucher",
    "a colon after a date": "Le 12 mars 2026 :\nlivraison de la table",
    "a long text below two dashes": "Deux lots.\n--\n" + "\n".join(f"Ligne {n}" for n in range(20)),
    "dashes in a text": "Le pied --- en chêne --- est trop court.",
}


@pytest.mark.parametrize("text", KEPT.values(), ids=KEPT)
def test_what_only_looks_like_history_is_kept(text: str) -> None:
    assert newest_part(text) == text


def test_answers_between_and_below_the_quoted_lines_are_kept() -> None:
    text = f"Le 3 nov. 2026 à 10:12, X <x@example.com> a écrit :\n{QUOTED}\n\nOui.\n\n> Quelle couleur ?\n\nRouge."
    assert newest_part(text).split() == ["Oui.", "Rouge."]


@pytest.mark.parametrize(
    "text", [QUOTED, "-- \nCamille Roy", "Envoyé de mon iPhone", f"De : S\nEnvoyé : 3\nÀ : C\n\n{OLD}"]
)
def test_where_nothing_else_is_there_the_whole_text_is_the_newest(text: str) -> None:
    assert newest_part(text) == text


@pytest.mark.parametrize(
    "line", ["Le 1 a écrit x", "On x", "--", ">", "", "De : 1", "Le 1 " * 50 + ":", "-" * 200, "<a@b> a écrit" * 20]
)
def test_time_is_linear_in_a_hostile_text(line: str) -> None:
    text = (line + "\n") * (100_000 // (len(line) + 1))
    began = time.process_time()
    newest_part(text)
    assert time.process_time() - began < 3
