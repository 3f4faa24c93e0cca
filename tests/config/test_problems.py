"""Tests of each problem of the settings: one line with its place, and no secret."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from poller.config.loader import InvalidSettingsError, load
from tests.support.settings_files import ROOT, problems, write


def test_placeholder_values_are_reported() -> None:
    """A key that was not filled in is not sent to the real service."""
    write(".env", (ROOT / ".env.example").read_text())
    write("config.toml", (ROOT / "config.example.toml").read_text())
    found = problems()
    assert ".env:7: IMAP_PASSWORD is still the example's value; fill it in, or delete the line" in found
    assert all("is still the example's value" in line for line in found), "and nothing is said to be missing as well"
    yours = re.findall(r"^(\w+) = .*# yours", (ROOT / "config.example.toml").read_text(), re.MULTILINE)
    named = [re.sub(r".*\] (\w+) is still.*", r"\1", line) for line in found if line.startswith("config.toml:")]
    assert sorted([*named, "bucket_name"]) == sorted(yours), "each once"


def test_overridden_placeholder_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A placeholder that is overridden does no harm."""
    write("config.toml", "[imap]\nhost = 'imap.example.com'\n[hubspot]\nhub_id = '12345678'\n")
    write(".env", "IMAP_PASSWORD=change-me\nIMAP_USERNAME=u")
    monkeypatch.setenv("IMAP_HOST", "imap.example.com")
    monkeypatch.setenv("IMAP_PASSWORD", "secret")
    (found,) = problems()
    assert found == "config.toml:4: [hubspot] hub_id is still the example's value; fill it in, or delete the line"


def test_all_problems_are_listed_with_place_and_similar_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One run shows all that has to be mended."""
    write("config.toml", "[imap]\nport = 99999\n\n[hubspot]\npipline_id = 3\n[clikup]\nparent_task_id = 'x'\n")
    write(".env", "HUBSPOT_APIKEY=pat-LEAK\n")
    monkeypatch.setenv("NOTIFICATION_EMAIL", "nobody")
    monkeypatch.setenv("R2_BUCKET_NAM", "b")
    found = "\n".join(problems())
    assert "config.toml:2: [imap] port: must be less than or equal to 65535 (got 99999)" in found
    assert "config.toml:5: unknown key [hubspot] pipline_id; did you mean pipeline_id?" in found
    assert "config.toml:6: unknown table [clikup]; did you mean clickup?" in found
    assert ".env:1: unknown key HUBSPOT_APIKEY; did you mean HUBSPOT_API_KEY?" in found
    assert "environment: NOTIFICATION_EMAIL: value is not a valid email address" in found
    assert "environment: unknown key R2_BUCKET_NAM; did you mean R2_BUCKET_NAME?" in found
    assert "LEAK" not in found


@pytest.mark.parametrize(
    ("toml", "env", "problem"),
    [
        ("[hubspot]\nhub_id = '1'", "", "HUBSPOT_API_KEY: missing (service key or private app token (pat-...))"),
        ("[r2]\nsecret_access_key = 'x'", "", "config.toml:2: [r2] secret_access_key is a secret and does not belong"),
        ("[imap]\nhost = 'mail.example.com'\nsecurity = 'none'", "", "config.toml:3: [imap] security: none would send"),
        ("imap = 3", "", "config.toml:1: unknown key imap"),
        ("\n\n[forms.contact]\nto = 'x'", "", "config.toml:3: unknown key [forms] contact"),
        ("\n[imap.tls]\non = true", "", "config.toml:2: unknown key [imap] tls"),
        ("\n[clikup.prod]\non = true", "", "config.toml:2: unknown table [clikup]"),
        ("\nimap.host = 'h'\nimap.prot = 3", "", "config.toml:3: unknown key [imap] prot"),
        ("\nimap = { prot = 3 }", "", "config.toml:2: unknown key [imap] prot"),
        ("[labels]\n\nsupport = ?", "", "config.toml:3: not TOML: Invalid value"),
        ("[imap\nport", "", "config.toml:1: not TOML: Expected ']' at the end of a table declaration"),
        ("[labels]\nsupport = 'x", "", "config.toml:2: not TOML: "),
        ("", "STATE_URL=mysql://LEAK", ".env:1: STATE_URL: must begin with sqlite:/// or postgresql://"),
        ("", "A_COMMENT=1\n\n# STATE_URL=\nexport STATE_URL=sqlite://", ".env:4: STATE_URL: must be sqlite:/// and"),
        ("", "STATE_URL='sqlite:////x.sqlite?mode=ro'", ".env:1: STATE_URL: must be sqlite:/// and"),
        ("[metrics]\nlisten = 'h:99999'", "", "config.toml:2: [metrics] listen: must be host:port"),
        ("[metrics]\nlisten = '9464'", "", "config.toml:2: [metrics] listen: must be host:port"),
        (
            "[hubspot]\nbase_url = 'http://api.example'",
            "HUBSPOT_API_KEY=LEAK",
            "config.toml:2: [hubspot] base_url: must",
        ),
        ("[clickup]\nbase_url = 'http://api.example'", "", "config.toml:2: [clickup] base_url: must begin with https"),
        ("[anthropic]\nbase_url = 'http://10.0.0.1'", "", "config.toml:2: [anthropic] base_url: must begin with https"),
        ("[r2]\nendpoint_url = 'https://169.254.169.254'", "", "config.toml:2: [r2] endpoint_url: must not be"),
        ("", "LABELS_FAILED=support", ".env:1: LABELS_FAILED: is the same mailbox as [labels] support; nobody could"),
        ("[labels]\nsupport = 'échecs'", "", "config.toml:2: [labels] support: is the same mailbox as [labels] failed"),
        (
            "[labels]\nfailed = 'x'\nignored = 'x'",
            "",
            "config.toml:2: [labels] failed: is the same mailbox as [labels]",
        ),
        (
            "[labels]\nfailed = 'Reclasser/Support'",
            "",
            "config.toml:2: [labels] failed: is the same mailbox as [labels]",
        ),
        (
            "[imap]\nmailbox = 'support'",
            "",
            "config.toml:2: [imap] mailbox: is the same mailbox as [labels] support; a",
        ),
        ("[smtp]\nhost = 'mail.example.com'\nsecurity = 'none'", "", "config.toml:3: [smtp] security: none would send"),
        ("", "STATE_URL=postgresql://u:LEAK@db.example/d", ".env:1: STATE_URL: must end in ?sslmode=verify-full"),
        ("[r2]\nendpoint_url = 'no url'", "R2_ACCESS_KEY_ID=LEAK", "config.toml:2: [r2] endpoint_url: must be a whole"),
        ("[imap]\nhost = imap.x", "", "config.toml:2: not TOML: Invalid value; a text stands between quotation marks"),
        ("[imap]\ntenant = 'a b'", "", "config.toml:2: [imap] tenant: must be an id or a domain (got 'a b')"),
        ("[imap]\nsince = 'today'", "", "config.toml:2: [imap] since: must be a day, for instance 2026-11-22"),
        ("[forms]\nproxies = '10.0.0.x'", "", "config.toml:2: [forms] proxies: must be addresses or networks, such as"),
        ("[forms]\nproxies = 'fe80::1/64'", "", "config.toml:2: [forms] proxies: fe80::1/64 is an address within the"),
        ("[imap]\nsecurity = 'x'", "", "config.toml:2: [imap] security: must be 'tls', 'starttls' or 'none'"),
        ("[metrics]\ntextfile = 'x.txt'", "", "config.toml:2: [metrics] textfile: must end in .prom (got 'x.txt')"),
        ("[digest]\ntimezone = 'Paris'", "", "config.toml:2: [digest] timezone: must be the name of a time zone, such"),
        ("[digest]\nhour = 'x'", "", "config.toml:2: [digest] hour: must be a whole number (got 'x')"),
        ("[receipts]\nenabled = 'ja'", "", "config.toml:2: [receipts] enabled: must be true or false (got 'ja')"),
        ("[canary]\nlate_min = 'x'", "", "config.toml:2: [canary] late_min: must be a number (got 'x')"),
        ("[labels]\nsupport = [1]", "", "config.toml:2: [labels] support: must be a text, between quotation marks"),
    ],
)
def test_problem_is_one_line_without_secret(toml: str, env: str, problem: str) -> None:
    """Each kind of mistake says what to change, and never shows a secret."""
    write("config.toml", toml)
    write(".env", env)
    found = problems()
    assert any(line.startswith(problem) for line in found), found
    assert not any("LEAK" in line or "\n" in line for line in found)
    if len(found) == 1:
        assert str(InvalidSettingsError(found)) == found[0]


def test_missing_mailbox_settings_are_named() -> None:
    """An empty directory is named, as the files may lie elsewhere, and the three settings to begin with."""
    with pytest.raises(InvalidSettingsError) as caught:
        load()
    named = [line.split(":")[0] for line in caught.value.problems]
    assert named == ["no setting is given", "IMAP_HOST", "IMAP_USERNAME", "IMAP_PASSWORD"]
    assert str(Path.cwd()) in caught.value.problems[0]
    write(".env", "IMAP_HOST=imap.example.net")
    assert not any("no setting" in line for line in problems())


def test_reclassify_mailboxes_can_both_be_off() -> None:
    """Both may be."""
    write("config.toml", "[labels]\nreclassify_support = '-'\nreclassify_modelisation = '-'\n")
    load(need_imap=False)


def test_incomplete_service_says_how_to_turn_it_off() -> None:
    """It may have been begun by mistake."""
    write("config.toml", "[hubspot]\nhub_id = '1'\n[r2]\nbucket_name = 'b'\npublic_url = 'https://f.example'\n")
    write(".env", "R2_ACCESS_KEY_ID=x\nR2_ENDPOINT_URL=https://r2.example\nIMAP_HOST=h\nIMAP_USERNAME=u\n")
    ends = {line.partition(":")[0]: line.partition(", or ")[2] for line in problems()}
    assert ends == {
        "HUBSPOT_API_KEY": "delete [hubspot] hub_id to leave HubSpot off",
        "R2_SECRET_ACCESS_KEY": "delete R2_ACCESS_KEY_ID and [r2] bucket_name and R2_ENDPOINT_URL and [r2] public_url "
        "to leave R2 off",
        "IMAP_PASSWORD": "",
    }


def test_unrelated_environment_variable_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other programs' names in the environment stop nothing."""
    for name in ("R2_D2", "STATE", "IMAP_PROXY_COMMAND", "SMTP_RELAY_FOR_CRON"):
        monkeypatch.setenv(name, "x")
    load(need_imap=False)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("[acknowledgement]\nenabled = true\n", "[acknowledgement] enabled: it is sent by SMTP: set smtp.host"),
        ("[office]\nopens_h = 20\n", "[office] opens_h: must be before closes_h"),
        ("[office]\nclosed_from = 2026-12-24\n", "a closing period has both days"),
        ("[office]\nclosed_from = 2026-12-24\nclosed_until = 2026-12-23\n", "a closing period has both days"),
        ("[office]\nclosed_from = 2026-12-24\nclosed_until = 2027-12-25\n", "lasts a year at most"),
    ],
)
def test_settings_that_do_not_go_together_are_reported(given: str, problem: str) -> None:
    """An office that never opens has no hour to promise."""
    write("config.toml", given)
    (found,) = problems()
    assert problem in found


def test_letters_without_an_address_of_ours_are_reported() -> None:
    """No mail would be known to be to us, and nobody would get one."""
    problem = "[acknowledgement] enabled: the IMAP login is no address: set imap.own_domains"
    given = (
        '[imap]\nusername = "support"\n[acknowledgement]\nenabled = true\n[smtp]\nhost = "h"\nsender = "a@x.example"\n'
    )
    write("config.toml", given)
    assert problem in problems()
    write("config.toml", given.replace('"support"\n', '"support"\nown_domains = "x.example"\n'))
    assert problem not in problems()
