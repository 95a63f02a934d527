"""A real kernel, driven as a front end drives it, and looked at from outside as a user would."""

from __future__ import annotations

import contextlib
import os
import queue
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import psutil
from jupyter_client.manager import KernelManager

DEADLINE = 60.0
"""Seconds after which a test gives up; nothing here takes more than a few."""


@dataclass(slots=True)
class Reply:
    """All that came back for one cell."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    content: dict[str, Any] = field(default_factory=dict)

    @property
    def status(self) -> str:
        """``ok``, ``error`` or ``aborted``."""
        return str(self.content.get("status"))

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The contents of all messages of one type, in order."""
        return [m["content"] for m in self.messages if m["msg_type"] == kind]

    def stream(self, name: str = "stdout") -> str:
        """All text of a stream."""
        return "".join(c["text"] for c in self.of("stream") if c["name"] == name)

    @property
    def result(self) -> str:
        """The text of ``Out[n]``; empty where there's none."""
        return "".join(c["data"]["text/plain"] for c in self.of("execute_result"))

    @property
    def traceback(self) -> str:
        """The text of the error shown."""
        return "\n".join("\n".join(c["traceback"]) for c in self.of("error"))

    @property
    def shown(self) -> str:
        """Whatever text the user sees, from all channels."""
        data = [c["data"].get("text/plain", "") for c in self.of("display_data")]
        return "\n".join([self.stream(), self.stream("stderr"), *data, self.result, self.traceback])


class KernelSession:
    """A kernel with the extension loaded."""

    def __init__(self, *, load: bool = True, env: dict[str, str] | None = None) -> None:
        self._manager = KernelManager(kernel_name="python3")
        settings = {**os.environ, "PYDEVD_DISABLE_FILE_VALIDATION": "1", **(env or {})}
        extra = ["--colors=NoColor", "--HistoryManager.enabled=False"]
        self._manager.start_kernel(env=settings, extra_arguments=extra)
        self._client = self._manager.client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=DEADLINE)
        if load:
            loaded = self.execute("%load_ext mpmagic")
            assert loaded.status == "ok", loaded.traceback

    @property
    def pid(self) -> int:
        """The kernel's process."""
        return int(self.value("__import__('os').getpid()"))

    @property
    def kernel_pid(self) -> int:
        """The kernel's process, also while it is busy."""
        return int(self._manager.provisioner.pid)

    def execute(self, code: str, *, until: str | None = None) -> Reply:
        """Run a cell and wait for its end, or for a text on its streams.

        Raises
        ------
        TimeoutError
            If neither comes within the deadline.
        """
        return self.finish(self.start(code), until=until)

    def start(self, code: str) -> str:
        """Send a cell; its id is for `finish`."""
        return str(self._client.execute(code, store_history=True, allow_stdin=False))

    def finish(self, ident: str, *, until: str | None = None) -> Reply:
        """Gather what a cell sends until it's idle, or until a text was streamed."""
        reply = Reply()
        end = time.monotonic() + DEADLINE
        while True:
            message = self._next(end, reply)
            if message["parent_header"].get("msg_id") != ident:
                continue
            reply.messages.append(message)
            if until is not None and until in reply.stream():
                return reply
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                reply.content = self._shell_reply(ident, end)
                return reply

    def value(self, expression: str) -> Any:
        """The value of an expression of plain literals."""
        import ast

        reply = self.execute(f"print('VALUE', repr({expression}))")
        assert reply.status == "ok", reply.traceback
        return ast.literal_eval(reply.stream().partition("VALUE ")[2].strip())

    def complete(self, code: str, cursor: int) -> dict[str, Any]:
        """The reply to Tab at a place of a cell."""
        ident = self._client.complete(code, cursor)
        return self._shell_reply(ident, time.monotonic() + DEADLINE)

    def help(self, code: str) -> str:
        """The text that a cell such as ``name?`` opens in the pager, without colours."""
        (page,) = self.execute(code).content["payload"]
        return re.sub(r"\x1b\[[\d;]*m", "", page["data"]["text/plain"])

    def interrupt(self) -> None:
        """The stop button."""
        self._manager.interrupt_kernel()

    def processes(self) -> list[psutil.Process]:
        """All descendants of the kernel."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return list(psutil.Process(self.pid).children(recursive=True))
        return []

    def kill(self) -> None:
        """End the kernel as the system does when memory runs out."""
        self._manager.shutdown_kernel(now=True)

    def close(self) -> None:
        """End the session and whatever is left of the kernel."""
        self._client.stop_channels()
        if self._manager.has_kernel:
            self._manager.shutdown_kernel(now=True)
        self._manager.cleanup_resources()

    def _next(self, end: float, reply: Reply) -> dict[str, Any]:
        try:
            message = self._client.get_iopub_msg(timeout=max(0.01, end - time.monotonic()))
        except queue.Empty:
            raise TimeoutError(f"no end of the cell; so far: {reply.shown}") from None
        return dict(message)

    def _shell_reply(self, ident: str, end: float) -> dict[str, Any]:
        while True:
            message = self._client.get_shell_msg(timeout=max(0.01, end - time.monotonic()))
            if message["parent_header"].get("msg_id") == ident:
                return dict(message["content"])


@contextlib.contextmanager
def kernel(**options: Any) -> Iterator[KernelSession]:
    """A session that ends with its block."""
    session = KernelSession(**options)
    try:
        yield session
    finally:
        session.close()


def gone(processes: list[psutil.Process], *, within: float = 10.0) -> bool:
    """Whether all the processes ended, waited for on their own exits."""
    _, alive = psutil.wait_procs(processes, timeout=within)
    return all(p.status() == psutil.STATUS_ZOMBIE for p in alive)
