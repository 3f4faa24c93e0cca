"""Serve Prometheus' text format on a port (https://prometheus.io/docs/instrumenting/exposition_formats/)."""

from __future__ import annotations

import math
import socket
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Labels = tuple[tuple[str, str], ...]

# Every metric: its type and its help text.
METRICS = {
    "figurative_mails_total": ("counter", "Messages that came to an end, by outcome."),
    "figurative_steps_total": ("counter", "Tries of a step, by step, service and result."),
    "figurative_classifications_total": ("counter", "Requests classified, by who decided."),
    "figurative_delivery_to_label_seconds": ("histogram", "Time from a message's delivery to its label, by outcome."),
    "figurative_in_hand": ("gauge", "Messages that are worked on."),
    "figurative_waiting": ("gauge", "Messages that wait, by the service that they wait for."),
    "figurative_oldest_waiting_seconds": ("gauge", "Age of the oldest message that waits, since its delivery."),
    "figurative_out_of_reach": ("gauge", "Whether messages are kept from a service for now (1) or not (0)."),
    "figurative_last_poll_timestamp_seconds": ("gauge", "When the mailbox was last looked into with success."),
    "figurative_polls_failing": ("gauge", "Whether the last look into the mailbox failed (1) or not (0)."),
    "figurative_start_timestamp_seconds": ("gauge", "When the daemon began."),
    "figurative_claude_calls_total": ("counter", "Answers had from Claude by this machine."),
    "figurative_claude_tokens_total": ("counter", "Claude's tokens, by direction, used by this machine."),
    "figurative_claude_cost_dollars_total": ("counter", "What these tokens cost by Anthropic's price list."),
}
TIMEOUT_S = 10.0  # for a client to send its request
MOST_BYTES = 1_000  # read at most of the answer of the server on the port


def exposition(samples: Mapping[tuple[str, Labels], float]) -> str:
    """Format the samples in Prometheus' text format, those of a metric together.

    The labels' values are words of ours, so they need no escapes.
    """
    lines = []
    for metric, (kind, says) in METRICS.items():
        lines += [f"# HELP {metric} {says}", f"# TYPE {metric} {kind}"]
        names = {f"{metric}_{part}" for part in ("bucket", "sum", "count")} if kind == "histogram" else {metric}
        for (name, labels), value in samples.items():
            if name in names:
                given = ",".join(f'{label}="{word}"' for label, word in labels)
                lines.append(f"{name}{f'{{{given}}}' if given else ''} {number(value)}")
    return "\n".join([*lines, ""])


def number(value: float) -> str:
    """Format a value as Prometheus reads it."""
    return "+Inf" if value == math.inf else f"{value:.15g}"


def labelled(**labels: str) -> Labels:
    """Return the labels of a sample, in order."""
    return tuple(labels.items())


def is_served(listen: str) -> bool:
    """Return whether a poller serves its metrics at "host:port"."""
    host, _, port = listen.rpartition(":")
    asked = HTTPConnection(host.strip("[]"), int(port), timeout=TIMEOUT_S)
    try:
        asked.request("GET", "/metrics")
        return b"# TYPE figurative_" in asked.getresponse().read(MOST_BYTES)
    except (OSError, HTTPException):
        return False
    finally:
        asked.close()


def served(listen: str, text: Callable[[], str]) -> ThreadingHTTPServer:
    """Create a server of one page at "host:port", which does not serve yet.

    A client that is too slow to ask is disconnected.

    Raises:
        OSError: the port is in use, or we may not use it.
    """
    host, _, port = listen.rpartition(":")
    family, _, _, _, address = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)[0]

    class Page(BaseHTTPRequestHandler):
        timeout = TIMEOUT_S

        def do_GET(self) -> None:
            found = self.path.partition("?")[0] == "/metrics"
            body = text().encode() if found else b"Look at /metrics\n"
            self.send_response(HTTPStatus.OK if found else HTTPStatus.NOT_FOUND)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8" if found else "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Log nothing: the clients are not recorded."""

    class Server(ThreadingHTTPServer):
        address_family = family
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Ignore a client that hangs up in the middle of the answer: it asks again."""

    return Server(address, Page)  # type: ignore[arg-type]  # of IPv6 an address has four parts
