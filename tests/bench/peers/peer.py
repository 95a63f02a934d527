"""The contestants: how each starts its workers, and how it maps a function over items."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

HELPERS = """
from functools import cache, partial
from itertools import repeat

def over(function, items):
    return [function(item) for item in items]

def pieces(items, size):
    return [items[i:i + size] for i in range(0, len(items), size)]

def flat(lists):
    return [item for items in lists for item in items]

def wait_a_little(x):
    from time import sleep
    sleep(0.01)
    return x
"""
"""What a user writes round a peer that sends items one by one."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A way to run a loop on several processes.

    Attributes
    ----------
    name, package
        What it is called in the table, and the package that it is installed with.
    start, stop
        Cells that bring its workers up and down.
    each
        The expression for a list of `{f}(x)` for each x of `{xs}`, with a task for each.
    chunked
        The same with `{chunk}` items a task.
    forks
        Its workers are forks of the kernel, which have what the kernel had when they began.
    """

    name: str
    package: str
    start: str = ""
    stop: str = ""
    each: str = ""
    chunked: str = ""
    forks: bool = False

    @property
    def version(self) -> str | None:
        """The version that is installed; None if none is. Empty for Python's own."""
        if not self.package:
            return ""
        try:
            return version(self.package)
        except PackageNotFoundError:
            return None if find_spec(self.package) is None else ""

    def map(self, function: str, items: str, chunk: int | None = None) -> str:
        """The expression that maps a function over items in this peer's own way.

        Parameters
        ----------
        function, items
            Expressions for them.
        chunk
            Items that travel together; None to send one by one.
        """
        template = self.each if chunk is None else self.chunked
        return template.format(f=function, xs=items, chunk=chunk)


SERIAL = Peer("serial", "", each="[{f}(x) for x in {xs}]", chunked="[{f}(x) for x in {xs}]")
MPMAGIC = Peer("mpmagic", "mpmagic", start="%load_ext mpmagic")
POOL = Peer(
    "multiprocessing.Pool",
    "",
    start="import multiprocessing\npool = multiprocessing.get_context('fork').Pool(2)",
    stop="pool.terminate()",
    each="pool.map({f}, {xs}, chunksize=1)",
    chunked="pool.map({f}, {xs}, chunksize={chunk})",
    forks=True,
)
EXECUTOR = Peer(
    "ProcessPoolExecutor",
    "",
    start="from concurrent.futures import ProcessPoolExecutor\nfrom multiprocessing import "
    "get_context\npool = ProcessPoolExecutor(2, mp_context=get_context('fork'))",
    stop="pool.shutdown()",
    each="list(pool.map({f}, {xs}))",
    chunked="list(pool.map({f}, {xs}, chunksize={chunk}))",
    forks=True,
)
LOKY = Peer(
    "loky",
    "loky",
    start="import loky\npool = loky.get_reusable_executor(max_workers=2)",
    stop="pool.shutdown()",
    each="list(pool.map({f}, {xs}))",
    chunked="list(pool.map({f}, {xs}, chunksize={chunk}))",
)
JOBLIB = Peer(
    "joblib",
    "joblib",
    start="from joblib import Parallel, delayed",
    each="Parallel(n_jobs=2)(delayed({f})(x) for x in {xs})",
    chunked="Parallel(n_jobs=2, batch_size={chunk})(delayed({f})(x) for x in {xs})",
)
MPIRE = Peer(
    "mpire",
    "mpire",
    start="import mpire\npool = mpire.WorkerPool(2, start_method='fork', keep_alive=True)",
    stop="pool.terminate()",
    each="pool.map({f}, {xs}, chunk_size=1, concatenate_numpy_output=False)",
    chunked="pool.map({f}, {xs}, chunk_size={chunk}, concatenate_numpy_output=False)",
    forks=True,
)
MULTIPROCESS = Peer(
    "multiprocess",
    "multiprocess",
    start="import multiprocess\npool = multiprocess.get_context('fork').Pool(2)",
    stop="pool.terminate()",
    each="pool.map({f}, {xs}, chunksize=1)",
    chunked="pool.map({f}, {xs}, chunksize={chunk})",
    forks=True,
)
PEBBLE = Peer(
    "pebble",
    "pebble",
    start="import multiprocessing, pebble\n"
    "pool = pebble.ProcessPool(2, context=multiprocessing.get_context('fork'))",
    stop="pool.stop()",
    each="list(pool.map({f}, {xs}).result())",
    chunked="list(pool.map({f}, {xs}, chunksize={chunk}).result())",
    forks=True,
)
IPYPARALLEL = Peer(
    "ipyparallel",
    "ipyparallel",
    start="import ipyparallel\ncluster = ipyparallel.Cluster(n=2, log_level=40)\n"
    "client = cluster.start_and_connect_sync()\n"
    "engines, balanced = client[:], client.load_balanced_view()",
    stop="cluster.stop_cluster_sync()",
    each="balanced.map_sync({f}, {xs})",
    chunked="balanced.map_sync({f}, {xs}, chunksize={chunk})",
)
DASK = Peer(
    "Dask",
    "distributed",
    start="from distributed import Client, LocalCluster\n"
    "cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)\n"
    "client = Client(cluster)",
    stop="client.close()\ncluster.close()",
    each="client.gather(client.map({f}, {xs}, pure=False))",
    chunked="flat(client.gather(\n"
    "    client.map(partial(over, {f}), pieces({xs}, {chunk}), pure=False)))",
)
RAY = Peer(
    "Ray",
    "ray",
    start="import logging, ray\n"
    "ray.init(address='local', num_cpus=2, include_dashboard=False, logging_level=logging.ERROR)\n"
    "remote = cache(ray.remote)",
    stop="ray.shutdown()",
    each="ray.get([remote({f}).remote(x) for x in {xs}])",
    chunked="flat(ray.get([remote(over).remote({f}, xs) for xs in pieces({xs}, {chunk})]))",
)
PARFOR = Peer(
    "parfor",
    "parfor",
    start="from parfor import pmap",
    stop="import ray\nray.shutdown()",
    each="pmap({f}, {xs}, bar=False)",
    chunked="pmap({f}, {xs}, bar=False)",
)
FORKS = (POOL, EXECUTOR, MPIRE, MULTIPROCESS, PEBBLE)
PEERS = (SERIAL, MPMAGIC, *FORKS, LOKY, JOBLIB, IPYPARALLEL, DASK, RAY, PARFOR)


def magic_of(peer: Peer, options: str = "") -> str | None:
    """What stands behind `%%parallel` on top of a contestant's cell; None where that doesn't."""
    return options if peer == MPMAGIC else None
