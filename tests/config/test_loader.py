"""Settings come from four places, and what is wrong with them is said all at once."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from poller import logs
from poller.config.loader import InvalidSettingsError, explain, load
from poller.config.problems import EXAMPLES
from poller.config.section import is_secret
from poller.config.settings import sections
from tests.support.other_user import as_nobody

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _nobody_elses_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.split("_")[0].lower() in sections():
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def write(name: str, text: str) -> None:
    Path(name).write_text(text)


def problems() -> list[str]:
    with pytest.raises(InvalidSettingsError) as caught:
        load(need_imap=False)
    return caught.value.problems


def filled_in() -> tuple[Path, Path]:
    """The examples, as a person leaves them."""
    toml = (ROOT / "config.example.toml").read_text()
    for (section, key), value in EXAMPLES.items():
        begin = toml.index(f"[{section}]")
        mine = value.replace("example", "figurative").replace("12345678", "1").replace("86abc1234", "86x")
        toml = toml[:begin] + toml[begin:].replace(f'{key} = "{value}"', f'{key} = "{mine.replace("89abcdef", "")}"', 1)
    write("filled.toml", toml)
    write("filled.env", re.sub("change[-_]me", "secret", (ROOT / ".env.example").read_text()))
    return Path("filled.toml"), Path("filled.env")


def test_placeholder_values_are_reported() -> None:
    """A key nobody filled in is not sent to the real service."""
    write(".env", (ROOT / ".env.example").read_text())
    write("config.toml", (ROOT / "config.example.toml").read_text())
    found = problems()
    assert ".env:7: IMAP_PASSWORD is still the example's value; fill it in, or delete the line" in found
    assert all("is still the example's value" in line for line in found), "and nothing is said to be missing as well"
    yours = re.findall(r"^(\w+) = .*# yours", (ROOT / "config.example.toml").read_text(), re.MULTILINE)
    named = [re.sub(r".*\] (\w+) is still.*", r"\1", line) for line in found if line.startswith("config.toml:")]
    assert sorted([*named, "bucket_name"]) == sorted(yours), "each once"


def test_overridden_placeholder_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not in force does no harm; and a service of which only the example is left is off."""
    write("config.toml", "[imap]\nhost = 'imap.example.com'\n[hubspot]\nhub_id = '12345678'\n")
    write(".env", "IMAP_PASSWORD=change-me\nIMAP_USERNAME=u")
    monkeypatch.setenv("IMAP_HOST", "imap.example.com")
    monkeypatch.setenv("IMAP_PASSWORD", "secret")
    (found,) = problems()
    assert found == "config.toml:4: [hubspot] hub_id is still the example's value; fill it in, or delete the line"


def test_example_files_load_and_cover_every_setting() -> None:
    """What a newcomer copies is valid, and shows every setting there is."""
    load(*filled_in())
    toml, env = (ROOT / "config.example.toml").read_text(), (ROOT / ".env.example").read_text()
    for section, keys in sections().items():
        table = re.search(rf"^\[{section}\].*?(?=^\[|\Z)", toml, re.DOTALL | re.MULTILINE)
        for key, field in keys.model_fields.items():
            if is_secret(field):
                assert re.search(rf"^{section}_{key}=", env, re.IGNORECASE | re.MULTILINE), f"{section}_{key}"
            else:
                shown = table[0] if table else ""
                assert re.search(rf"^(# )?{key} = ", shown, re.MULTILINE), f"[{section}] {key}"


def test_example_files_show_the_defaults() -> None:
    """Where the example does not say "yours", it says what is so without it."""
    example, defaults = load(*filled_in()), load(need_imap=False)
    yours = set(re.findall(r"^(\w+) = .*# yours", (ROOT / "config.example.toml").read_text(), re.MULTILINE))
    for section, keys in sections().items():
        for key, field in keys.model_fields.items():
            if not is_secret(field) and key not in yours:
                assert getattr(getattr(example, section), key) == getattr(getattr(defaults, section), key), key


def test_legacy_environment_names_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thirteen environment names that the customer has already mean what they meant."""
    names = {
        "ANTHROPIC_API_KEY": "a",
        "HUBSPOT_API_KEY": "b",
        "HUBSPOT_HUB_ID": "12",
        "HUBSPOT_PIPELINE_ID": "3",
        "HUBSPOT_STAGE_NEW": "4",
        "CLICKUP_API_KEY": "c",
        "CLICKUP_PARENT_TASK_ID": "86x",
        "R2_ACCESS_KEY_ID": "d",
        "R2_SECRET_ACCESS_KEY": "e",
        "R2_BUCKET_NAME": "bucket",
        "R2_ENDPOINT_URL": "https://x.r2.cloudflarestorage.com",
        "R2_PUBLIC_URL": "https://files.example.com",
        "NOTIFICATION_EMAIL": "admin@example.com",
    }
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    settings = load(need_imap=False)
    for name, value in names.items():
        section, _, key = name.lower().partition("_")
        found = getattr(getattr(settings, section), key)
        assert str(found.get_secret_value() if hasattr(found, "get_secret_value") else found).rstrip("/") == value


def test_r2_endpoint_with_bucket_path_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files would lie under other keys than their links name."""
    monkeypatch.setenv("R2_ENDPOINT_URL", "https://x.r2.cloudflarestorage.com/files")
    assert any("R2_ENDPOINT_URL" in line and "without the bucket behind it" in line for line in problems())


def test_environment_overrides_env_file_and_config(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each place is overruled by the nearer one."""
    write("config.toml", "[imap]\nhost = 'toml'\nusername = 'toml'\nport = 1")
    write(".env", "IMAP_HOST=dotenv\nIMAP_USERNAME=dotenv\nIMAP_PASSWORD=x")
    monkeypatch.setenv("IMAP_HOST", "environment")
    imap = load().imap
    assert (imap.host, imap.username, imap.port) == ("environment", "dotenv", 1)


def test_systemd_credentials_are_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """LoadCredential=.env:... brings the secrets without the environment."""
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / ".env").write_text("IMAP_HOST=h\nIMAP_USERNAME=u\nIMAP_PASSWORD=from-systemd\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    assert load().imap.password.get_secret_value() == "from-systemd"


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


def test_env_line_without_key_value_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    """Each is named by its place alone, for it may hold a secret; a comment, an empty value and `export` are right."""
    wrong = ("A: LEAK", "A:LEAK", "A:LEAK=x", "LEAK", "bad LEAK", "A='LEAK", '="LEAK"')
    for line in wrong:
        write(".env", f"# a comment\n\nIMAP_PORT=1\n\n{line}\nexport SMTP_HOST= # none\nSMTP_PORT=x\n")
        first, second = problems()
        assert (first, second.split(" ")[0]) == (".env:5: not KEY=VALUE", ".env:7:")
    assert not [record for record in caplog.records if record.name.startswith("dotenv")]


@pytest.mark.parametrize("name", ["config.toml", ".env", "credentials/SMTP_PASSWORD"])
def test_non_utf_8_file_is_reported(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What an old editor wrote has letters nobody can tell; one that only begins with a byte order mark is read."""
    (tmp_path / "credentials").mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    Path(name).write_bytes("[labels]\nfailed = 'Échecs'".encode("cp1252"))
    assert problems() == [f"{Path(name).name}:2: not UTF-8"]
    Path(name).unlink()
    Path("config.toml").write_bytes("[labels]\r\nfailed = 'Ratés'".encode("utf-8-sig"))
    assert load(need_imap=False).labels.failed == "Ratés"


@pytest.mark.parametrize("name", ["config.toml", ".env", "credentials/SMTP_PASSWORD", "private/config.toml"])
def test_unreadable_settings_file_is_reported(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As whoever runs the daemon: the file, or the directory that it is in, is another's alone."""
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "credentials")
    path = Path(name)
    path.parent.mkdir(exist_ok=True)
    path.write_text("LEAK")
    (path if path.parent.name != "private" else path.parent).chmod(0)
    tmp_path.chmod(0o755)
    with as_nobody(), pytest.raises(InvalidSettingsError) as caught:
        load(path if path.name == "config.toml" else None)
    assert caught.value.problems == [f"{name}: Permission denied"]


def test_missing_mailbox_settings_are_named() -> None:
    """An empty directory is answered with the three settings to begin with."""
    with pytest.raises(InvalidSettingsError) as caught:
        load()
    assert [line.split(":")[0] for line in caught.value.problems] == ["IMAP_HOST", "IMAP_USERNAME", "IMAP_PASSWORD"]


def test_reclassify_mailboxes_can_both_be_off() -> None:
    """Both may be."""
    write("config.toml", "[labels]\nreclassify_support = '-'\nreclassify_modelisation = '-'\n")
    load(need_imap=False)


def test_incomplete_service_says_how_to_turn_it_off() -> None:
    """Whoever does not use it did not begin it on purpose."""
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


def test_environment_variable_similar_to_setting_is_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It stops nothing where the setting stands elsewhere; but whoever set it believes that it is in force."""
    logs.configure()
    write(".env", "IMAP_HOST=h\nIMAP_USERNAME=u\nIMAP_PASSWORD=LEAK")
    Path(".env").chmod(0o600)
    for name in ("IMAP_PASWORD", "R2_D2", "SMTP_RELAY_FOR_CRON", "STATE_DIRECTORY"):
        monkeypatch.setenv(name, "LEAK")
    load()
    (line,) = capsys.readouterr().err.splitlines()
    said = json.loads(line)
    assert (said["event"], said["name"], said["did_you_mean"]) == ("unknown_variable", "IMAP_PASWORD", "IMAP_PASSWORD")
    assert "LEAK" not in line


def test_setting_value_has_its_origin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """File and line, environment, credentials or default; of a secret only whether it is set."""
    write("config.toml", "[imap]\nhost = 'h'\nport = 143\n")
    write(".env", "IMAP_USERNAME=u\n\nexport IMAP_PASSWORD=LEAK\n")
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / ".env").write_text("HUBSPOT_API_KEY=LEAK\nHUBSPOT_HUB_ID=1\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    monkeypatch.setenv("IMAP_PORT", "993")
    Path(".env").chmod(0o600)
    shown = {each.name: (each.value, each.source) for each in explain()}
    assert len(shown) == sum(len(keys.model_fields) for keys in sections().values())
    assert shown["[imap] host"] == ("h", "config.toml:2")
    assert shown["[imap] port"] == (993, "environment")
    assert shown["[imap] username"] == ("u", ".env:1")
    assert shown["[imap] password"] == ("set", ".env:3")
    assert shown["[hubspot] api_key"] == ("set", "credentials")
    assert shown["[clickup] api_key"] == ("not set", "default")
    assert shown["[state] workers"] == (8, "default")
    assert "LEAK" not in repr(shown)


def test_settings_repr_hides_secrets() -> None:
    """Printing or failing with the settings shows stars."""
    write(".env", "IMAP_HOST=h\nIMAP_USERNAME=u\nIMAP_PASSWORD=hunter2\nSTATE_URL=postgresql://u:hunter2@localhost/d")
    assert "hunter2" not in repr(load())
