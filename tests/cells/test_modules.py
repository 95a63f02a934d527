"""Modules of the user's own, beside the notebook: edited, reloaded, rebound, on the real pool."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.compare import Judgement, Verdict, explained, judge
from tests.notebook import Notebook

HELPERS = """
import settings
LIMIT = 3
OPTIONS = {"scale": 2}
count = 0
last = None
_shared = None
class Model:
    rate = 1
    def fit(self, x):
        return self.rate * x
bag = Model()
def f(x):
    return x * OPTIONS["scale"] + LIMIT + settings.OFFSET
def counted(x):
    global count
    count += 1
    return x
def remembered(x):
    global last
    last = x
    return x
def once(x):
    global _shared
    if _shared is None:
        _shared = object()
    return x
"""
SETUP = "import sys; sys.path.insert(0, {folder!r})\nimport helpers, settings\nxs = [5, 3, 8, 1]\n"
LOOP = "out = []\nfor x in xs:\n    out.append({call})\n"

Trial = Callable[..., Judgement]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "helpers.py").write_text(HELPERS)
    (tmp_path / "settings.py").write_text("OFFSET = 0\n")
    yield tmp_path
    for name in ("helpers", "settings"):
        sys.modules.pop(name, None)


@pytest.fixture
def trial(folder: Path, pool_notebook: Notebook) -> Trial:
    """Judges a loop that calls what is given, after a change of the modules."""

    def run(call: str, change: str = "", options: str = "") -> Judgement:
        setup = SETUP.format(folder=str(folder)) + change
        return judge(pool_notebook, LOOP.format(call=call), setup=setup, options=f"-n 2 {options}")

    return run


def assert_split(judgement: Judgement) -> None:
    assert judgement.verdict is Verdict.EQUAL, explained(judgement, "")
    assert judgement.parallel.report.split == 1, judgement.parallel.report.stayed


@pytest.mark.parametrize(
    ("change", "back"),
    [
        ("helpers.LIMIT = 100", "helpers.LIMIT = 3"),
        ("helpers.OPTIONS['scale'] = 7", "helpers.OPTIONS['scale'] = 2"),
        ("helpers.OPTIONS = {'scale': 8}", "helpers.OPTIONS = {'scale': 2}"),
        ("settings.OFFSET = 1000", "settings.OFFSET = 0"),
        ("helpers.Model.rate = 5", "helpers.Model.rate = 1"),
        ("helpers.bag.rate = 6", "vars(helpers.bag).pop('rate', None);"),
        ("import json; helpers.counted = json.dumps", "importlib.reload(helpers)"),
        ("helpers.added = 4", "vars(helpers).pop('added', None);"),
    ],
)
def test_rebound_attributes_are_sent_and_taken_back(trial: Trial, change: str, back: str) -> None:
    call = (
        "(helpers.f(x), helpers.Model().fit(x), helpers.bag.fit(x), getattr(helpers, 'added', 0),"
        " helpers.counted.__name__)"
    )
    assert_split(trial(call))
    changed = trial(call, change)
    assert_split(changed)
    assert_split(trial(call, f"import importlib\n{back}"))


def test_function_imported_by_its_name(trial: Trial) -> None:
    assert_split(trial("f(x)", "from helpers import f\nhelpers.LIMIT = 50"))


def test_what_the_compiler_warned_of_is_not_said_again(
    trial: Trial, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "helpers.py").write_text(HELPERS + "def odd(x):\n    return x is 1\n")
    monkeypatch.syspath_prepend(folder)
    with pytest.warns(SyntaxWarning, match="literal"):
        importlib.import_module("helpers")
    assert_split(trial("helpers.odd(x)"))


def test_module_imported_inside_a_function_of_the_notebook(trial: Trial) -> None:
    assert_split(
        trial("late(x)", "def late(x):\n    import settings\n    return x + settings.OFFSET\n"
              "settings.OFFSET = 9")
    )  # fmt: skip


def test_edited_and_reloaded(trial: Trial, folder: Path) -> None:
    assert_split(trial("helpers.f(x)"))
    (folder / "helpers.py").write_text(HELPERS.replace("+ LIMIT", "- LIMIT * 11"))
    reloaded = trial("helpers.f(x)", "import importlib; importlib.reload(helpers)")
    assert_split(reloaded)
    assert reloaded.parallel.names["out"] == [x * 2 - 33 for x in (5, 3, 8, 1)]


def test_autoreload(folder: Path, pool_notebook: Notebook) -> None:
    shell = pool_notebook.shell
    pool_notebook.run(SETUP.format(folder=str(folder)), "")
    shell.run_line_magic("load_ext", "autoreload")
    shell.run_line_magic("autoreload", "2")
    cell = "%%parallel -q -n 2\n" + LOOP.format(call="helpers.f(x)")
    try:
        assert shell.run_cell(cell).success
        (folder / "helpers.py").write_text(HELPERS.replace("+ LIMIT", "+ LIMIT * 1000"))
        assert shell.run_cell(cell).success
    finally:
        shell.run_line_magic("autoreload", "0")
    assert shell.user_ns["out"] == [x * 2 + 3000 for x in (5, 3, 8, 1)]
    assert pool_notebook.magics.last_run.split == 1


def test_module_that_imports_a_reloaded_one(trial: Trial, folder: Path) -> None:
    text = HELPERS.replace("import settings\n", "import settings\nfrom settings import g\n")
    (folder / "settings.py").write_text("OFFSET = 0\ndef g(x):\n    return x\n")
    (folder / "helpers.py").write_text(text)
    assert_split(trial("helpers.g(x)"))
    (folder / "settings.py").write_text("OFFSET = 0\ndef g(x):\n    return x + 12345\n")
    both = "import importlib; importlib.reload(settings)"
    judgement = trial("helpers.g(x)", both)
    assert judgement.verdict is Verdict.EQUAL  # helpers.g is still the old one
    assert "reload" in judgement.parallel.report.stayed[0][1]
    assert_split(trial("helpers.g(x)", f"{both}; importlib.reload(helpers)"))


def test_edited_and_not_reloaded_stays_in_the_kernel(trial: Trial, folder: Path) -> None:
    assert_split(trial("helpers.f(x)"))
    (folder / "helpers.py").write_text(HELPERS.replace("+ LIMIT", "- LIMIT * 11"))
    judgement = trial("helpers.f(x)")
    assert judgement.verdict is Verdict.EQUAL
    assert "importlib.reload(helpers)" in judgement.parallel.report.stayed[0][1]


def test_function_of_the_notebook_put_into_a_module(trial: Trial) -> None:
    judgement = trial("helpers.f(x)", "def mine(x):\n    return -x\nhelpers.f = mine")
    assert judgement.verdict is Verdict.EQUAL
    assert "`helpers.f`" in judgement.parallel.report.stayed[0][1]


@pytest.mark.parametrize(
    ("call", "name"), [("counted", "helpers.count"), ("remembered", "helpers.last")]
)
def test_lost_write(trial: Trial, call: str, name: str) -> None:
    judgement = trial(f"helpers.{call}(x)")
    assert judgement.verdict is Verdict.ERROR
    assert f"changed `{name}`" in str(judgement.parallel.error)
    assert trial(f"helpers.{call}(x)", options="--local helpers").verdict is not Verdict.ERROR


def test_what_is_made_at_its_first_use_is_no_lost_write(trial: Trial) -> None:
    assert_split(trial("helpers.once(x)"))


def test_rebound_function_of_a_library(trial: Trial) -> None:
    judgement = trial("time.strftime('%Y') and time.kept", "import time\ntime.kept = 5")
    assert_split(judgement)
    importlib.import_module("time").__dict__.pop("kept")
    judgement = trial("getattr(time, 'kept', 'gone')", "import time")
    assert_split(judgement)
    assert judgement.parallel.names["out"] == ["gone"] * 4
