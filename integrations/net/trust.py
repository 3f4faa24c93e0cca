"""Decide which certificate authorities vouch for a mail server."""

from __future__ import annotations

import ssl

from integrations.errors import ConfigurationError


def trusting(ca_file: str, setting: str) -> ssl.SSLContext:
    """Return a TLS context that trusts the authorities of a PEM file alone, or with "" those of the system.

    The system's are those that OpenSSL knows, or that SSL_CERT_FILE names. `setting` is named where the file is bad.

    Raises:
        ConfigurationError: the file cannot be read, or holds no certificate.
    """
    if not ca_file:
        return ssl.create_default_context()
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError as error:
        raise ConfigurationError(f"{setting}: {ca_file}: no certificate in PEM form") from error
    except OSError as error:
        raise ConfigurationError(f"{setting}: {ca_file}: {error.strerror}") from error
    # From Python 3.13 on, RFC 5280 is taken by the letter, which few certificates made by hand follow.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context
