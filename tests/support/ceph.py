"""A Ceph cluster with an S3 gateway: one monitor, one OSD that keeps all in memory, and one radosgw."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self

from integrations.sandbox.certificate import self_signed

if TYPE_CHECKING:
    from collections.abc import Mapping

HOW = "needs Ceph: CEPH=<directory with ceph-mon, ceph-osd, radosgw and what they need, unpacked>, as in .ci/run"
CLUSTER_ID, OSD_ID = "11111111-2222-3333-4444-555555555555", "22222222-2222-3333-4444-555555555555"
START_S = 120  # at most, for any part of the cluster

# No secrets among the parts, and none may be asked to keep copies, since there is one of each.
# https://docs.ceph.com/en/pacific/rados/configuration/
SETTINGS = """
[global]
fsid = {cluster_id}
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
mon_host = v2:127.0.0.1:{mon_port}
mon_initial_members = a
mon_data = {folder}/mon
mon_allow_pool_size_one = true
mon_data_avail_crit = 1
mon_cluster_log_file = {folder}/cluster.log
osd_data = {folder}/osd
osd_objectstore = memstore
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pgp_num = 1
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
osd_class_dir = {libraries}/rados-classes
osd_class_load_list = *
osd_class_default_list = *
erasure_code_dir = {libraries}/ceph/erasure-code
plugin_dir = {libraries}/ceph
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
log_file = {folder}/$name.log
pid_file = {folder}/$name.pid
admin_socket = {folder}/$name.asok
run_dir = {folder}

[client.rgw]
# The gateway wants a secure connection to the monitor, which there is none without secrets.
ms_mon_client_mode = crc
rgw_data = {folder}
rgw_frontends = beast endpoint=127.0.0.1:{port} ssl_endpoint=127.0.0.1:{tls_port} ssl_certificate={certificate} ssl_private_key={key}
"""  # noqa: E501  one setting is one line


class Ceph:
    """A context manager that runs an empty cluster with one user. It starts in about ten seconds."""

    access_key_id, secret_access_key = "SANDBOXSANDBOXSANDBO", "sandbox" * 5

    def __enter__(self) -> Self:
        self._running = ExitStack()
        with ExitStack() as started:
            self._folder = Path(tempfile.mkdtemp(prefix="ceph-"))
            started.callback(shutil.rmtree, self._folder, ignore_errors=True)
            self._start(started)
            self._running = started.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def url(self, scheme: str) -> str:
        """The address of the gateway by http or https."""
        return f"{scheme}://127.0.0.1:{self.tls_port if scheme == 'https' else self.port}"

    def _start(self, started: ExitStack) -> None:
        root, folder = Path(os.environ["CEPH"]), self._folder
        libraries = next(root.glob("usr/lib/*/rados-classes")).parent
        mon_port, self.port, self.tls_port = _free_ports(3)
        certificate = self_signed(folder)
        self.certificate = certificate.path
        settings = SETTINGS.format(
            cluster_id=CLUSTER_ID,
            folder=folder,
            libraries=libraries,
            mon_port=mon_port,
            port=self.port,
            tls_port=self.tls_port,
            certificate=certificate.path,
            key=certificate.key_path,
        )
        (folder / "ceph.conf").write_text(settings)
        for name in ("mon", "osd"):
            (folder / name).mkdir()
        loaded = sorted({str(path.parent) for path in root.rglob("*.so*")})
        environment = {"CEPH_CONF": f"{folder}/ceph.conf", "LD_LIBRARY_PATH": ":".join(loaded)}
        programs, monitors = root / "usr" / "bin", f"{folder}/monmap"
        at = f"[v2:127.0.0.1:{mon_port}]"
        _run(environment, programs / "monmaptool", "--create", "--fsid", CLUSTER_ID, "--addv", "a", at, monitors)
        _run(environment, programs / "ceph-mon", "--mkfs", "-i", "a", "--monmap", monitors)
        started.enter_context(_running(environment, programs / "ceph-mon", "-f", "-i", "a"))
        _run(environment, programs / "ceph-osd", "--mkfs", "-i", "0", "--osd-uuid", OSD_ID)
        started.enter_context(_running(environment, programs / "ceph-osd", "-f", "-i", "0"))
        gateway = ("-n", "client.rgw")
        user = ("--uid=poller", "--display-name=poller", f"--access-key={self.access_key_id}")
        secret = f"--secret-key={self.secret_access_key}"
        _run(environment, programs / "radosgw-admin", *gateway, "user", "create", *user, secret)
        started.enter_context(_running(environment, programs / "radosgw", "-f", *gateway))
        _wait_for(self.tls_port)


def _run(environment: Mapping[str, str], *command: str | Path) -> None:
    ended = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=START_S, check=False, stdin=subprocess.DEVNULL
    )
    assert ended.returncode == 0, ended.stderr


def _running(environment: Mapping[str, str], *command: str | Path) -> ExitStack:
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    running = ExitStack()
    running.callback(process.wait)
    running.callback(process.kill)  # at once: nothing is to be kept
    return running


def _free_ports(count: int) -> list[int]:
    """Return free ports below those that the system gives to other servers, before the gateway listens."""
    ports = random.sample(range(20_000, 32_000), 100)
    return [port for port in ports if _is_free(port)][:count]


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def _wait_for(port: int) -> None:
    for _ in range(START_S * 10):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the gateway does not listen")
