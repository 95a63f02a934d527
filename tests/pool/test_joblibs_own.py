"""joblib's own tests for backends, run against the pool wherever they apply.

They aren't copied: joblib installs them. Left out are those that look into joblib's other
backends, those of its memory mapping, which the pool doesn't need, and one that joblib itself
expects to fail.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any

import pytest

joblib = pytest.importorskip("joblib")
theirs = pytest.importorskip("joblib.test.test_parallel")

_LEFT_OUT = frozenset(
    {
        "test_error_capture",  # demands other workers after an error; ours stay
        "test_parallel_as_context_manager",  # looks for what joblib's own backends call their pool
        "test_nested_exception_dispatch",  # expected to fail
        "test_auto_memmap_on_arrays_from_generator",
        "test_memmapping_leaks",
        "test_parallel_thread_limit",  # needs a compiled helper
    }
)
_SCRIPTS = ("UNPICKLABLE_CALLABLE_SCRIPT_TEMPLATE_MAIN",
            "UNPICKLABLE_CALLABLE_SCRIPT_TEMPLATE_NO_MAIN")  # fmt: skip
_IMPORT = "from joblib import Parallel, delayed"


@pytest.fixture(scope="module", autouse=True)
def _registered() -> Iterator[None]:
    """Know the backend here, and in the scripts that some of the tests run."""
    from mpmagic.pool import joblib_backend

    joblib_backend.register()
    with pytest.MonkeyPatch.context() as patch:
        for name in _SCRIPTS:
            script = getattr(theirs, name)
            assert _IMPORT in script
            known = f"{_IMPORT}\nimport mpmagic.pool.joblib_backend as b; b.register()"
            patch.setattr(theirs, name, script.replace(_IMPORT, known))
        yield
    joblib.parallel.BACKENDS.pop("mpmagic")
    while joblib_backend._shared:
        joblib_backend._shared.pop()[1].shutdown()


@pytest.fixture(autouse=True)
def _nothing_left() -> None:
    """Here the pool is to stay between the tests, and joblib's other backends keep theirs."""


def _for_the_pool(test: Any) -> Any:
    """Give one of their tests with our backend in the place of theirs."""
    copy = types.FunctionType(test.__code__, test.__globals__, test.__name__, test.__defaults__)
    marks = [m for m in test.pytestmark if m.name == "parametrize"]
    copy.pytestmark = [  # type: ignore[attr-defined]
        pytest.mark.parametrize("backend", ["mpmagic"]) if m.args[0] == "backend" else m
        for m in marks
    ]
    return copy


def _is_for_backends(test: Any) -> bool:
    marks = getattr(test, "pytestmark", ())
    return any(m.name == "parametrize" and m.args[0] == "backend" for m in marks)


for _name, _test in list(vars(theirs).items()):
    if _is_for_backends(_test) and _name not in _LEFT_OUT:
        globals()[_name] = _for_the_pool(_test)
