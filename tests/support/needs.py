"""The programs that some tests need: where one is not installed they are skipped, and say how to get it."""

from __future__ import annotations

import pytest

from integrations.sandbox.dovecot import Dovecot

needs_dovecot = pytest.mark.skipif(
    Dovecot.executable() is None, reason="Dovecot is not installed: apt install dovecot-imapd"
)
