"""A cluster on several hosts: network namespaces, each with its own end of a wire."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compare import assert_equal
from tests.engines.conftest import Cluster, Host, client_of
from tests.engines.names import named
from tests.notebook import Notebook

NETWORK = "10.213.77"


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def _allowed() -> bool:
    """Whether this machine lets us make namespaces: root does, with the tools of iproute2."""
    if shutil.which("ip") is None:
        return False
    name = f"mp{secrets.token_hex(3)}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True)
    if made.returncode == 0:
        ip("netns", "delete", name)
    return made.returncode == 0


@pytest.fixture
def hosts() -> Iterator[list[Host]]:
    """Three hosts on one switch, which the notebook's own reaches too."""
    tag = secrets.token_hex(3)
    switch, names = f"mp{tag}", [f"mp{tag}h{i}" for i in range(3)]
    ip("link", "add", switch, "type", "bridge")
    try:
        ip("addr", "add", f"{NETWORK}.1/24", "dev", switch)
        ip("link", "set", switch, "up")
        for i, name in enumerate(names, 2):
            ip("netns", "add", name)
            ip("link", "add", f"v{tag}{i}", "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("link", "set", f"v{tag}{i}", "master", switch, "up")
            inside = ("-netns", name)
            ip(*inside, "addr", "add", f"{NETWORK}.{i}/24", "dev", "eth0")
            ip(*inside, "link", "set", "eth0", "up")
            ip(*inside, "link", "set", "lo", "up")
        yield [
            Host(f"{NETWORK}.{i}", ("ip", "netns", "exec", name)) for i, name in enumerate(names, 2)
        ]
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)
        ip("link", "delete", switch)


SETUP = """
import socket
import numpy as np
table = np.arange(1_000_000.0)
def where(x):
    import subprocess
    shown = subprocess.run(["ip", "-4", "-o", "addr"], capture_output=True, text=True).stdout
    return [part.split("/")[0] for part in shown.split() if part.startswith("10.213.77.")]
def value(x):
    return float(table[x::7].sum())
"""
CELL = "out = []\nfor x in range(12):\n    y = value(x)\n    print(x)\n    out.append(y)"


@pytest.mark.skipif(not _allowed(), reason="this machine allows no network namespaces")
def test_a_scheduler_and_two_workers_on_hosts_of_their_own(
    hosts: list[Host], tmp_path: Path, pool_notebook: Notebook
) -> None:
    cluster = Cluster(tmp_path)
    cluster.start(hosts[0])
    try:
        for host in hosts[1:]:
            cluster.add(1, host=host)
        with client_of(cluster) as client, named(pool_notebook, client=client):
            options = "--on client --chunk 1"
            assert_equal(pool_notebook, CELL, setup=SETUP, options=options)
            seen = pool_notebook.run(
                SETUP, f"%%parallel {options}\nfound = [where(x) for x in range(12)]"
            ).names["found"]
            assert {place for places in seen for place in places} == {
                host.address for host in hosts[1:]
            }
            os.kill(cluster.workers[0].pid, signal.SIGKILL)  # one host is left
            assert_equal(pool_notebook, CELL, setup=SETUP, options=options)
    finally:
        cluster.stop()
