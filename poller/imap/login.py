"""Log in to an IMAP server by password or by access token, and say what to do about a refusal."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from imapclient.exceptions import IMAPClientAbortError, LoginError

from integrations.errors import ConfigurationError, TransientError
from poller.imap import login_refusals
from poller.imap.oauth import tokens
from poller.imap.responses import advice, asked_s, is_busy, said

if TYPE_CHECKING:
    from imapclient import IMAPClient

    from poller.config.settings import ImapSettings

PLAIN, LOGIN = "AUTHENTICATE PLAIN", "LOGIN"
TURN_S = 10.0  # for which a login waits until another one is done, which may be refused
_turn = threading.Lock()
# The way that an account took last: a connection that begins with a refusal looks like somebody who guesses.
_taken: dict[tuple[str, int, str], str] = {}


def log_in(client: IMAPClient, imap: ImapSettings) -> None:
    """Log in as the settings say, unless they were refused a moment ago.

    Raises:
        TransientError: the server is busy.
        ConfigurationError: it refuses the login, or has refused it a moment ago.
    """
    is_alone = _turn.acquire(timeout=TURN_S)
    try:
        login_refusals.expect_taken(imap)
        if imap.auth == "password":
            _by_password(client, imap)
        else:
            _by_token(client, imap)
        login_refusals.clear(imap)
    finally:
        if is_alone:
            _turn.release()


def _by_password(client: IMAPClient, imap: ImapSettings) -> None:
    """Log in by PLAIN (RFC 4616) or LOGIN, and where that is refused for the first time, once by the other."""
    password = imap.password.get_secret_value()
    tried: list[str] = []
    refusals: list[LoginError] = []
    for way in _ways(client, imap):
        try:
            (client.plain_login if way == PLAIN else client.login)(imap.username, password)
        except UnicodeEncodeError as error:
            if not refusals:
                why = "IMAP login: LOGIN, all that the server offers, takes an ASCII password only"
                raise ConfigurationError(why) from error
        except LoginError as error:
            if not refusals:
                _raise_busy(error)
            # Where the server is busy only now, or has hung up, its first refusal stands.
            tried.append(way)
            refusals.append(error)
        except OSError:
            if not refusals:
                raise
            tried.append(way)  # It has reset the connection, or says nothing more.
        else:
            _taken[_account(imap)] = way
            return
    words = said(refusals[0]).replace(password or " ", "***" if password else " ")
    why = f"IMAP login refused: {words} (tried: {' and '.join(tried)}): {advice(words, imap.auth)}"
    raise login_refusals.add(imap, why, tried) from refusals[0]


def _ways(client: IMAPClient, imap: ImapSettings) -> list[str]:
    """Return the commands to log in by, the one to begin with first.

    It is one alone where that has worked before, and after a refusal: then another one each time.
    """
    offered = client.capabilities()
    # LOGIN cannot carry every password; PLAIN can. Some servers take it unannounced.
    ways = [PLAIN, LOGIN] if b"AUTH=PLAIN" in offered else [LOGIN, PLAIN]
    if b"LOGINDISABLED" in offered:
        ways.remove(LOGIN)
    if (taken := _taken.get(_account(imap))) in ways:
        return [taken]
    tried = login_refusals.tried_last(imap)
    return ways if tried is None else [way for way in ways if way != tried][:1] or ways


def _account(imap: ImapSettings) -> tuple[str, int, str]:
    return imap.host, imap.port, imap.username


def _by_token(client: IMAPClient, imap: ImapSettings) -> None:
    if b"AUTH=XOAUTH2" not in client.capabilities():
        raise ConfigurationError(f"IMAP server {imap.host} takes no access tokens (no AUTH=XOAUTH2): check IMAP_AUTH")
    source = tokens(imap)
    token, shared = source.token()
    first = f"user={imap.username}\1auth=Bearer {token}\1\1".encode()
    try:
        # The server sends its reason for a refusal as a challenge. It says no after an empty answer.
        client.sasl_login("XOAUTH2", lambda challenge: b"" if challenge else first)
    except LoginError as error:
        _raise_busy(error)
        source.forget()
        if shared:
            raise TransientError("IMAP login: the access token has ended", outcome_unknown=False) from error
        words = said(error).replace(token, "***")
        why = f"IMAP login refused: {words}: {advice(words, imap.auth) or source.advice(token, imap.username)}"
        raise login_refusals.add(imap, why, [""]) from error


def _raise_busy(error: LoginError) -> None:
    if _is_busy(error):
        why = "IMAP login: the server is not available"
        raise TransientError(why, detail=said(error), retry_after_s=asked_s(error), outcome_unknown=False) from error


def _is_busy(error: LoginError) -> bool:
    # imapclient calls a connection cut in mid-login a LoginError, too.
    return isinstance(error.__context__, IMAPClientAbortError) or is_busy(error)
