"""A Dask scheduler with two workers, each a process in a folder of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from distributed import Client


class Host(NamedTuple):
    """Where a process of a cluster runs: its address, and what a command there begins with."""

    address: str
    enter: tuple[str, ...] = ()


HERE = Host("127.0.0.1")


@dataclass
class Cluster:
    """The processes, which tests may kill."""

    folder: Path
    address: str = ""
    scheduler: Any = None
    workers: list[subprocess.Popen[Any]] = field(default_factory=list)

    def start(self, host: Host = HERE) -> None:
        """Start a scheduler on a port that is free."""
        self.scheduler = self._launch(host, "dask_scheduler", "--port", "0", "--no-show",
                                      stderr=subprocess.PIPE)  # fmt: skip
        for line in self.scheduler.stderr:
            if found := re.search(r"tcp://\S+:\d+", line):
                self.address = found[0]
                return
        raise AssertionError("no scheduler started")

    def add(
        self,
        count: int,
        *,
        without_mpmagic: bool = False,
        path: Path | None = None,
        host: Host = HERE,
    ) -> None:
        """Start workers; with a `path` they import what is there first."""
        options = ("--nthreads", "1", "--no-nanny")
        preload = ("--preload", str(self._blocker())) if without_mpmagic else ()
        env = None if path is None else {**os.environ, "PYTHONPATH": str(path)}
        for _ in range(count):
            self.workers.append(
                self._launch(host, "dask_worker", self.address, *options, *preload, env=env)
            )

    def _blocker(self) -> Path:
        """A file by which a worker finds no mpmagic, though it's installed."""
        path = self.folder / "blocker.py"
        path.write_text(
            "import importlib.util as util\nfind = util.find_spec\n"
            "util.find_spec = lambda name, *a: None if name == 'mpmagic' else find(name, *a)\n"
        )
        return path

    def _launch(
        self, host: Host, module: str, *options: str, stderr: Any = None, env: Any = None
    ) -> subprocess.Popen[Any]:
        folder = self.folder / f"{module}-{len(self.workers)}"
        folder.mkdir()
        command = [*host.enter, sys.executable, "-m", f"distributed.cli.{module}", *options,
                   "--host", host.address, "--no-dashboard"]  # fmt: skip
        return subprocess.Popen(command, cwd=folder, text=True, env=env,
                                stderr=stderr or subprocess.DEVNULL)  # fmt: skip

    def stop(self) -> None:
        """End all."""
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()
        self.scheduler.stderr.close()


@contextmanager
def running(folder: Path, workers: int = 2, **options: Any) -> Iterator[Cluster]:
    """A scheduler with workers, which get the options of `Cluster.add`."""
    made = Cluster(folder)
    made.start()
    try:
        made.add(workers, **options)
        yield made
    finally:
        made.stop()


@contextmanager
def client_of(cluster: Cluster) -> Iterator[Client]:
    """A client whose scheduler has its workers."""
    with Client(cluster.address, set_as_default=False) as made:
        if cluster.workers:
            made.wait_for_workers(len(cluster.workers), timeout=60)
        yield made


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A scheduler with two workers."""
    with running(tmp_path) as made:
        yield made


@pytest.fixture
def client(cluster: Cluster) -> Iterator[Client]:
    """A client whose scheduler has its workers."""
    with client_of(cluster) as made:
        yield made
