"""Build sample mails as customers write them, for the demo, for `poller try`, and for the tests."""

from __future__ import annotations

import json
import struct
import zlib
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from functools import cache
from typing import TYPE_CHECKING

from poller.cli.demonstration.armchair import armchair, fabric, plan

if TYPE_CHECKING:
    from collections.abc import Mapping

SUPPORT_ADDRESS = "support@figurative.example"


@cache
def samples() -> Mapping[str, bytes]:
    """Return every sample as an RFC 5322 message, keyed by name. They are made once."""
    return {"armchair": _armchair_mail()} | _clear_requests() | _special_mails()


def _armchair_mail() -> bytes:
    """Return a request as a mail client writes it: a picture pasted into the text, a textured model and a plan."""
    words = (
        "Bonjour,",
        "Nous lançons la bergère Sillage en janvier, et il nous faut son modèle 3D pour le site.",
        "Ci-joint notre modèle de travail et le plan coté. Le tissu retenu est celui-ci :",
        "Le piètement reste en chêne clair. Pouvez-vous nous envoyer un devis cette semaine ?",
        "Bien à vous,\nInès Moreau\nAtelier Moreau",
    )
    message = _message("armchair", "Inès Moreau <ines@atelier-moreau.example>", "Modèle 3D de la bergère Sillage")
    message.set_content("\n\n".join([*words[:3], "[image : tissu.png]", *words[3:]]) + "\n")
    before, after = ("".join(f"<p>{part}</p>" for part in parts) for parts in (words[:3], words[3:]))
    picture_in_text = '<p><img src="cid:tissu@samples.example" width="256" height="256" alt="tissu.png"></p>'
    message.add_alternative(f"<html><body>{before}{picture_in_text}{after}</body></html>", subtype="html")
    html = message.get_body(("html",))
    assert html is not None  # noqa: S101  for mypy: it was added above
    html.add_related(
        fabric(), "image", "png", cid="<tissu@samples.example>", filename="tissu.png", disposition="inline"
    )
    message.add_attachment(armchair(), maintype="model", subtype="gltf-binary", filename="bergère Sillage.glb")
    message.add_attachment(plan(), maintype="application", subtype="pdf", filename="plan Sillage.pdf")
    return message.as_bytes()


def _clear_requests() -> dict[str, bytes]:
    """Return requests whose category the rules tell."""
    return {
        "support": _mail(
            "support",
            "Jeanne Dupont <jeanne.dupont@atelier-dupont.example>",
            "Facture prélevée deux fois",
            "Bonjour,\n\nMa facture de novembre a été prélevée deux fois sur mon compte bancaire.\n"
            "Pouvez-vous me rembourser le second paiement ?\n\nCordialement,\nJeanne Dupont\n",
        ),
        "modelisation": _mail(
            "modelisation",
            "Karim Haddad <karim@haddad-luminaires.example>",
            "Devis pour modéliser trois lampes en 3D",
            "Bonjour,\n\nNous voudrions faire modéliser en 3D trois lampes de notre collection, "
            "pour la réalité augmentée.\n"
            "Quel serait votre devis, et sous quel délai ?\n\nKarim Haddad\n",
        ),
        "modelisation_with_files": _mail(
            "modelisation_with_files",
            "Élise Martin <elise@martin-mobilier.example>",
            "Modélisation du fauteuil Ondine",
            "Bonjour,\n\nPouvez-vous reprendre la modélisation du fauteuil Ondine ? "
            "Je joins notre ébauche et une photo.\n"
            "Le piètement doit être en chêne clair.\n\nMerci,\nÉlise\n",
            ("fauteuil Ondine.glb", "application/octet-stream", triangle()),
            ("photo été.png", "image/png", picture(320, 240)),
        ),
        "english": _mail(
            "english",
            "Colin Reid <colin@reid-firepits.example>",
            "3D model of our fire pit",
            "Hello,\n\nWe would like you to create a 3D model of our corten steel fire pit, 90 cm across, for AR.\n"
            "Could you send us a quote?\n\nColin\n",
        ),
        "bug": _mail(
            "bug",
            "Capucine Noël <capucine@noel-papeterie.example>",
            "Erreur à la connexion",
            "Bonjour,\n\nImpossible de me connecter à mon compte : le site affiche une erreur 500 (capture jointe).\n\n"
            "Capucine Noël\n",
            ("capture.png", "image/png", picture(640, 360)),
        ),
    }


def _special_mails() -> dict[str, bytes]:
    """Return a request that the rules cannot tell, a mail that is no request, and one with hostile content."""
    return {
        "ambiguous": _mail(
            "ambiguous",
            "Hugues Lambert <hugues@lambert-horticulture.example>",
            "Suite de notre échange",
            "Bonjour,\n\nComme convenu au téléphone, voici ce que je vous avais promis pour la suite.\n\nH. Lambert\n",
            ("plan.png", "image/png", picture(200, 200)),
        ),
        "auto_reply": _mail(
            "auto_reply",
            "Paul Petit <paul@petit.example>",
            "Réponse automatique : absent du bureau",
            "Je suis absent jusqu'au 30 novembre.\n",
            Auto_Submitted="auto-replied",
        ),
        "hostile_name": _mail(
            "hostile_name",
            "Mallory <mallory@hostile.example>",
            "Modèle 3D à reprendre",
            "Bonjour, merci de refaire la modélisation 3D de cette pièce. "
            "[lien](javascript:alert(1)) <script>alert(1)</script>\n",
            ("../../etc/passwd\u202egpj.glb", "text/html", triangle()),
        ),
    }


def triangle() -> bytes:
    """Return a valid binary glTF file: one triangle (glTF 2.0 section 4.4)."""
    points = struct.pack("<9f", 0, 0, 0, 1, 0, 0, 0, 1, 0)
    scene = {
        "asset": {"version": "2.0"},
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3", "min": [0, 0, 0], "max": [1, 1, 0]}
        ],
        "bufferViews": [{"buffer": 0, "byteLength": len(points)}],
        "buffers": [{"byteLength": len(points)}],
    }
    text = json.dumps(scene).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(points), b"BIN\0") + points
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


@cache
def picture(width: int, height: int) -> bytes:
    """Return a valid PNG: a gradient (PNG specification, section 11)."""
    row = bytearray(b"\0" + bytes([0, 0, 160]) * width)
    row[1::3] = bytes(255 * x // width for x in range(width))
    rows = bytearray()
    for y in range(height):
        row[2::3] = bytes([255 * y // height]) * width
        rows += row
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def _message(name: str, sender: str, subject: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, SUPPORT_ADDRESS, subject
    message["Message-ID"] = f"<{name}@samples.example>"
    message["Date"] = format_datetime(datetime.now(UTC))
    return message


def _mail(name: str, sender: str, subject: str, text: str, *files: tuple[str, str, bytes], **headers: str) -> bytes:
    message = _message(name, sender, subject)
    for header, value in headers.items():
        message[header.replace("_", "-")] = value
    message.set_content(text)
    for filename, content_type, content in files:
        maintype, _, subtype = content_type.partition("/")
        message.add_attachment(content, maintype=maintype, subtype=subtype, filename=filename)
    return message.as_bytes()
