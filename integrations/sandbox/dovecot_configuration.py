"""Write the configuration of a private Dovecot, in the language of its version: 2.4 has another than 2.3."""

from __future__ import annotations

import grp
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pwd
    from pathlib import Path

    from integrations.sandbox.certificate import Certificate

# dovecot.conf(5), of version 2.3.
_OF_2_3 = """\
protocols = imap
mail_location = {mail_format}:{folder}/mail
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {folder}/users
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}
}}
# A process serves one connection after the other. By default each connection starts two programs, in 10 ms.
service imap-login {{
  service_count = 0
}}
service imap {{
  service_count = 0
}}
"""

# https://doc.dovecot.org/2.4.1/installation/upgrade/2.3-to-2.4.html
_OF_2_4 = """\
dovecot_config_version = {config_version}
dovecot_storage_version = 2.4.0
protocols {{
  imap = yes
}}
mail_driver = {mail_format}
mail_path = {folder}/mail
passdb passwd-file {{
  passwd_file_path = {folder}/users
  default_password_scheme = PLAIN
}}
userdb static {{
  fields {{
    uid = {uid}
    gid = {gid}
    home = {folder}
  }}
}}
service imap-login {{
  restart_request_count = unlimited
}}
service imap {{
  restart_request_count = unlimited
}}
"""

_OF_BOTH = """\
listen = {host}
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/log
{tls}{capability}
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
first_valid_uid = {uid}
first_valid_gid = 0
mail_fsync = never
mail_max_userip_connections = 0
auth_failure_delay = 0
namespace inbox {{
  inbox = yes
  prefix = {prefix}
  separator = {separator}
  # Announced where a client creates it.
  mailbox Sent {{
    special_use = \\Sent
  }}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {clear_port}
  }}
  inet_listener imaps {{
    port = {tls_port}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
  # Without it no wrong password delays the next login from this address.
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
"""


MailFormat = Literal["maildir", "sdbox"]


@dataclass(frozen=True, slots=True)
class Version:
    """The version of a Dovecot."""

    text: str  # as `dovecot --version` begins: "2.3.19.1", "2.4.1-4"
    numbers: tuple[int, int, int]


def version_of(said: str) -> Version | None:
    """Return the version that `dovecot --version` has printed, None where it printed none."""
    found = re.match(r"(\d+)\.(\d+)\.(\d+)\S*", said)
    return Version(found[0], (int(found[1]), int(found[2]), int(found[3]))) if found else None


def configuration(
    version: Version,
    *,
    host: str,
    folder: Path,
    mail_format: MailFormat,
    account: pwd.struct_passwd,
    certificate: Certificate | None,
    capabilities: str,
    prefix: str,
    separator: str,
    clear_port: int,
    tls_port: int,
) -> str:
    """Return dovecot.conf for a server whose files all lie in `folder`.

    `certificate` is None for a server without TLS. `capabilities` are those to announce after login, "" for all of
    Dovecot's. A port of 0 is not listened on.
    """
    new = version.numbers >= (2, 4)
    if certificate is None:
        tls = f"ssl = no\n{'auth_allow_cleartext = yes' if new else 'disable_plaintext_auth = no'}\n"
    else:
        key, cert = ("ssl_server_key_file = ", "ssl_server_cert_file = ") if new else ("ssl_key = <", "ssl_cert = <")
        tls = f"ssl = required\n{cert}{certificate.path}\n{key}{certificate.key_path}\n"
    return ((_OF_2_4 if new else _OF_2_3) + _OF_BOTH).format(
        config_version=".".join(map(str, version.numbers)),
        host=host,
        folder=folder,
        mail_format=mail_format,
        tls=tls,
        capability=f"imap_capability = {capabilities}\n" if capabilities else "",
        user=account.pw_name,
        group=grp.getgrgid(account.pw_gid).gr_name,
        uid=account.pw_uid,
        gid=account.pw_gid,
        prefix=prefix,
        separator=separator,
        clear_port=clear_port,
        tls_port=tls_port,
    )
