"""The objects on R2, by what they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from integrations.sandbox import Sandbox
    from integrations.sandbox.s3 import StoredObject


def sent(box: Sandbox) -> list[StoredObject]:
    """Return the files that customers sent, without what we made of them."""
    made = ("/fichiers.zip", ".apercu.png", ".apercu.jpg")
    return [stored for stored in box.s3.objects if not stored.key.endswith(made)]


def zips(box: Sandbox) -> list[StoredObject]:
    """Return the zips of all files of a request."""
    return [stored for stored in box.s3.objects if stored.key.endswith("/fichiers.zip")]
