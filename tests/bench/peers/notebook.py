"""A notebook whose cells are timed inside its kernel."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import psutil
from jupyter_client.manager import KernelManager

DEADLINE = 30.0
"""Seconds that a cell may take; a serial one takes at most four."""
CATCHING_UP_SECONDS = 0.2
THREADS_OF_LIBRARIES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class CellFailed(Exception):
    """A cell raised, or took too long."""


@dataclass(frozen=True, slots=True)
class Timing:
    """What a cell took, and the text that it had shown when it ended."""

    seconds: float
    text: str


class Notebook:
    """A kernel, and what it takes to time cells in it."""

    def __init__(self, folder: str, deadline: float) -> None:
        self._deadline = deadline
        self._manager = KernelManager(kernel_name="python3")
        one_thread = dict.fromkeys(THREADS_OF_LIBRARIES, "1")
        # Ray and ipyparallel keep files of their own, which shouldn't outlive the benchmark.
        own = {"IPYTHONDIR": folder, "PYTHONWARNINGS": "ignore", "RAY_DEDUP_LOGS": "0"}
        quiet = ["--HistoryManager.enabled=False", "--log-level=ERROR"]
        self._manager.start_kernel(
            env=os.environ | one_thread | own,
            extra_arguments=quiet,
            stdout=subprocess.DEVNULL,  # where output ends up that gets past the kernel
            stderr=subprocess.DEVNULL,
        )
        self._process = psutil.Process(self._manager.provisioner.pid)  # type: ignore[union-attr]
        self._client = self._manager.client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=60)
        self.run("from time import perf_counter as _clock")

    def run(self, cell: str) -> str:
        """Run a cell that isn't timed; the text that it shows.

        Raises
        ------
        CellFailed
            If it raises or takes too long.
        """
        return self._run(cell)[1]

    def timed(self, cell: str, *, magic: str | None = None) -> Timing:
        """Run a cell between two looks at the kernel's clock.

        Parameters
        ----------
        cell
            Its source.
        magic
            The options behind `%%parallel` on top of it; None for a plain cell.
        """
        if magic is not None:
            cell = f"get_ipython().run_cell_magic('parallel', {magic!r}, {cell!r})"
        content, text = self._run(f"_began = _clock()\n{cell}\n_took = _clock() - _began", "_took")
        return Timing(float(content["user_expressions"]["value"]["data"]["text/plain"]), text)

    def value(self, expression: str) -> float:
        """The value of an expression that is a number."""
        content, _ = self._run("", f"float({expression})")
        return float(content["user_expressions"]["value"]["data"]["text/plain"])

    def memory(self) -> int:
        """Bytes of the kernel and its descendants, each page shared out among those that map it."""
        found = 0
        for process in self._processes():
            with contextlib.suppress(psutil.Error):
                found += process.memory_full_info().pss
        return found

    @contextlib.contextmanager
    def watched(self) -> Iterator[list[int]]:
        """Measure the memory all the time that the block takes."""
        ended, found = threading.Event(), [self.memory()]

        def watch() -> None:
            while not ended.wait(0.02):
                found.append(self.memory())

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield found
        finally:
            ended.set()
            thread.join()

    def pause(self) -> None:
        """Have the kernel and all that it has started stand still, until `go_on`."""
        self._each(psutil.Process.suspend)

    def go_on(self) -> None:
        """Have all go on, and catch up with what it does at regular times."""
        self._each(psutil.Process.resume)
        time.sleep(CATCHING_UP_SECONDS)

    def _each(self, do: Callable[[psutil.Process], object]) -> None:
        """Do it to all that there are; a kernel that has ended has none."""
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in self._processes():
                with contextlib.suppress(psutil.Error):
                    do(process)

    def _processes(self) -> list[psutil.Process]:
        return [self._process, *self._process.children(recursive=True)]

    def close(self) -> None:
        """End the kernel, and whatever it has started."""
        started = []
        with contextlib.suppress(psutil.Error):
            started = self._process.children(recursive=True)
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)
        self._manager.cleanup_resources()
        for process in started:
            with contextlib.suppress(psutil.Error):
                process.kill()

    def _run(self, cell: str, expression: str = "None") -> tuple[dict[str, Any], str]:
        shown: list[str] = []
        try:
            reply = self._client.execute_interactive(
                cell,
                allow_stdin=False,
                user_expressions={"value": expression},
                timeout=self._deadline,
                output_hook=lambda message: shown.append(_text_of(message)),
            )
        except TimeoutError:
            raise CellFailed(f"not done after {self._deadline:.0f} s") from None
        content = reply["content"]
        if content["status"] != "ok":
            raise CellFailed(f"{content.get('ename')}: {content.get('evalue')}"[:200])
        return content, "".join(shown)


def _text_of(message: dict[str, Any]) -> str:
    is_output = message["msg_type"] == "stream" and message["content"]["name"] == "stdout"
    return str(message["content"]["text"]) if is_output else ""


@contextlib.contextmanager
def notebook(deadline: float = DEADLINE) -> Iterator[Notebook]:
    """A notebook that ends with its block."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        opened = Notebook(folder, deadline)
        try:
            yield opened
        finally:
            opened.close()
