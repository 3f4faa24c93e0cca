"""Find the author of a forwarded message in the text, as each mail client writes it."""

from __future__ import annotations

import pytest

from poller.model import Address
from poller.parsing.forwards import original_senders
from tests.support.effort import one_pass

ZOE = Address("Zoé Martin", "zoe@client.example")

FROM = "Zoé Martin <zoe@client.example>"
BLOCKS = {
    "Gmail": "Voir\n\n---------- Forwarded message ---------\n"
    f"De : {FROM}\nDate: lun.\nSubject: porte\nTo: lou\n\nBonjour",
    "Apple Mail": f"Début du message réexpédié :\n\n> De: {FROM}\n> Objet: porte\n> Date: 2 nov.\n",
    "Outlook": f"De : {FROM}\nEnvoyé : lundi 2 novembre\nÀ : Lou\nObjet : porte\n\nBonjour",
    "Outlook of old": "-----Message d'origine-----\n"
    "De\u00a0: Zoé Martin [mailto:zoe@client.example]\nEnvoyé\u00a0: lundi\nÀ\u00a0: Lou\n",
    "Outlook in HTML": "*De :* Zoé Martin <[zoe@client.example](mailto:zoe@client.example)>\n"
    "*Envoyé :* lundi\n*À :* Lou\n",
    "Thunderbird": "-------- Message transféré --------\n"
    f"Sujet : porte\nDate : Mon, 2 Nov\nDe : {FROM}\nPour : lou\nRépondre à : x@y.example\nÀ : lou\nCc : a\n",
    "Thunderbird, the person last": "-------- Message transféré --------\n"
    f"Sujet : porte\nDate : Mon, 2 Nov\nDe : {FROM}\nPour : lou\n\nBonjour",
    "Roundcube": f"-------- Message original --------\nObjet : porte\nDate : 02-11-2026 10:00\nDe : {FROM}\nÀ : lou\n",
    "Zimbra": '----- Mail transféré -----\nDe: "Zoé Martin" <zoe@client.example>\n'
    'À: "lou"\nEnvoyé: Lundi 2\nObjet: porte\n',
    "folded": "---------- Forwarded message ---------\nFrom: Zoé Martin\n<zoe@client.example>\nDate: lundi\nTo: lou\n",
    "English": f"From: {FROM}\nSent: Monday\nTo: Lou\nSubject: door\n",
    "Notes, stacked": "----- Forwarded by Lou/B on 11/03/2026 10:12 AM -----\n\n"
    f"{FROM}\n11/02/2026 04:10 PM\n\nTo\nlou@b.example\ncc\n\nSubject\ndoor\n\nHello",
    "Yahoo": f"----- Message transmis ----- De : {FROM}À : lou@b.example\n"
    "Envoyé : lundi à 09:26:50 UTC+1Objet : porte\n Bonjour",
    "Yahoo, wrapped": f"----- Message transmis ----- De : {FROM}À :\nlou@b.example <lou@b.example>Envoyé : mardi 3\n"
    "novembre 2026 à 09:26:30 UTC+1Objet : porte\n\nBonjour",
    "Outlook for Mac": "Le 03/11/2026 09:26, « Zoé Martin » <zoe@client.example> a écrit :\n\n    Bonjour,\n",
    "Gmail without heading": "Le mar. 3 nov. 2026 à 10:12, Zoé Martin <zoe@client.example> a écrit :\n> Bonjour",
    "Thunderbird, Italian": "-------- Messaggio Inoltrato --------\n"
    f"Oggetto: \tporta\nData: \tlun\nMittente: \t{FROM}\nA: \tlou\n",
    "Spanish": f"De: {FROM}\nEnviado el: lunes\nPara: Lou\nAsunto: puerta\n",
    "Dutch": f"Van: {FROM}\nVerzonden: maandag\nAan: Lou\nOnderwerp: deur\n",
    "Swedish": f"---------- Vidarebefordrat meddelande ----------\nFrån: {FROM}\nDate: mån\nSubject: dörr\nTo: lou\n",
    "Polish": f"Od: {FROM}\nWysłano: poniedziałek\nDo: Lou\nTemat: drzwi\n",
    "Outlook, spaced": f"De : {FROM}\n\nEnvoyé : lundi\n\nÀ : Lou\n\nObjet : porte\n",
    "K-9": "From: \nZoé Martin <zoe@client.example>\n\nSent: 3 November 2026 10:12:54 CET\n"
    "\nTo: \nlou@b.example\n\nSubject: \nV3\n",
    "Hungarian": f"Továbbított levél kezdete:\n\nFeladó: {FROM}\nTárgy: ajtó\nDátum: kedd\nCímzett: lou\n",
    "Romanian": f"----- Mesaj redirecționat ----- De la: {FROM}Către: lou@b.example\nTrimis: marți\nSubiect: ușă\n",
    "Romanian, Apple": f"Începe mesajul redirecționat:\n\nExpeditorul: {FROM}\nSubiectul: ușă\nDată: marți\n",
    "Russian": f"-------- Перенаправленное сообщение --------\nТема: \tx\nДата: \tвт\nОт: \t{FROM}\nКому: \tlou\n",
    "Russian, Yandex": "-------- Пересылаемое сообщение --------\n"
    '03.11.2026, 09:26, "Zoé Martin" <zoe@client.example>:\n',
    "Slovak": f"Začiatok preposlanej správy:\n\nOd: {FROM}\nPredmet: x\nDátum: utorok\nPre: lou\n",
    "Turkish": f"----- İletilmiş Mesaj ----- Kimden: {FROM}Kime: lou@b.example\nGönderilen: Salı\nKonu: x\n",
    "Ukrainian": f"Початок листа, що пересилається:\n\nВід кого: {FROM}\nТема: x\nДата: вт\nКому: lou\n",
    "Croatian": f"-------- Proslijeđena poruka --------\nNaslov: \tx\nDatum: \tuto\nŠalje: \t{FROM}\nPrima: \tlou\n",
    "Czech": f"Začátek přeposílané zprávy:\n\nOd: {FROM}\nPředmět: x\nDatum: út\nKomu: lou\n",
    "eM Client": '------ Message transféré ------\nDe "Zoé Martin" <zoe@client.example>\nÀ lou@b.example\n'
    "Date 03/11/2026 09:26:30\nObjet porte\n",
    "German": f"Von: {FROM}\nGesendet: Montag\nAn: Lou\nBetreff: Tür\n",
}


@pytest.mark.parametrize("text", BLOCKS.values(), ids=BLOCKS)
def test_forwarded_block_gives_original_sender(text: str) -> None:
    again = "\n\nFrom: a@b.example\nSent: x\nTo: y\n"
    assert original_senders(text + again, forward=True)[0] == ZOE


def test_chain_of_forwards_gives_all_senders() -> None:
    """The outermost first. The caller, who knows the colleagues, decides which is the customer."""
    luc = "---------- Forwarded message ---------\nDe : Luc <luc@own.example>\nDate : lundi\nObjet : TR : porte\n\n"
    assert original_senders(luc + BLOCKS["Gmail"], forward=True) == (Address("Luc", "luc@own.example"), ZOE)


HEADED = (
    *("Gmail", "Apple Mail", "Thunderbird", "Zimbra", "folded", "Yahoo", "Yahoo, wrapped", "Hungarian", "Romanian"),
    *("Russian", "Swedish"),
    *("Romanian, Apple", "Russian, Yandex", "Slovak", "Turkish", "Ukrainian", "Croatian", "Czech", "eM Client"),
)


@pytest.mark.parametrize("client", HEADED)
def test_forward_is_recognised_by_heading(client: str) -> None:
    assert original_senders(BLOCKS[client], forward=False) == (ZOE,)


@pytest.mark.parametrize("client", ["Outlook", "Outlook of old", "English", "Outlook for Mac", "Dutch"])
def test_reply_above_quoted_block_is_no_forward(client: str) -> None:
    assert original_senders("Merci\n\n" + BLOCKS[client], forward=False) == ()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "De Lyon <a@b.example>\nmerci",
        "De : 10 mm\nÀ : 20 mm",
        "De : Zoé\nDate : lundi\nObjet : porte",
        "de: zoe@client.example\nmerci\nà bientôt",
    ],
)
def test_text_without_header_block_gives_no_sender(text: str) -> None:
    assert original_senders(text, forward=True) == ()


@pytest.mark.parametrize(
    "piece",
    [
        "De : a\n",
        "> ",
        "[",
        "[a](",
        "De : a@b.example\n",
        "De : a@b.c À : d Date : e ",
        "Le 1 <a@b> a écrit :\n",
        "De : a\nÀ : b\nDate : c\n",
        "--",
        "* ",
    ],
)
def test_hostile_text_is_parsed_quickly(piece: str) -> None:
    one_pass(lambda text: original_senders(text, forward=True), piece)
