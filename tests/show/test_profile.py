"""The profile: seconds by line add up to the work, whatever was seen of it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from mpmagic.run.sampling import Place, sampled
from mpmagic.show.profile import Profile
from tests.show.events import returned, tell

CELL = "%%parallel\nfor x in xs:\n    y = f(x)  # <here>\n    out.append(y)"


def test_seconds_are_scaled_to_the_work() -> None:
    place = Place("cell 1", "f", 2)
    chunks = [
        returned(11, 0, (0.0, 0.0, 4.0, 4.0), {(3, place): 2.0, (4, None): 1.0}),
        returned(22, 10, (0.0, 0.0, 2.0, 2.0), {(3, None): 1.0}),
        returned(22, 20, (2.0, 2.0, 2.5, 2.5)),  # too short to be seen
    ]
    profile = Profile(CELL)
    tell(profile, chunks)
    assert profile.work == pytest.approx(6.5)
    lines = repr(profile).splitlines()
    assert lines[0].startswith("6.5 s of work")
    assert lines[3].split()[:3] == ["4.9", "s", "75%"]
    assert lines[4].split()[:3] == ["1.6", "s", "25%"]
    assert lines[1].strip() == "1 %%parallel"
    assert lines[-1].split()[:3] == ["3.2", "s", "50%"]
    assert "f, cell 1 line 2" in lines[-1]


def test_html_has_the_same_numbers_and_escapes_the_cell() -> None:
    profile = Profile(CELL)
    tell(profile, [returned(11, 0, (0.0, 0.0, 4.0, 4.0), {(3, None): 3.0, (4, None): 1.0})])
    html = profile._repr_html_()
    assert "&lt;here&gt;" in html and "<here>" not in html
    assert "3.0 s" in html and "75%" in html and "width:75.0%" in html


def test_too_little_work_is_said() -> None:
    profile = Profile(CELL)
    tell(profile, [returned(11, 0, (0.0, 0.0, 0.0, 0.0))])
    assert "no loop" in repr(Profile(CELL))
    tell(profile, [returned(11, 0, (0.0, 0.0, 0.001, 0.001))])
    assert "too little" in repr(profile)


def run(source: str, filename: str, namespace: dict[str, Any]) -> None:
    exec(compile(source, filename, "exec"), namespace)


def test_the_sampler_finds_the_line_and_the_line_inside(tmp_path: Path) -> None:
    namespace: dict[str, Any] = {"time": time}
    run("def f():\n    time.sleep(0.3)\n", "<one cell>", namespace)
    with sampled("<another>", namespace) as samples:
        run("\nf()\nif True:\n    time.sleep(0.1)\n", "<another>", namespace)
    lines = {line: 0.0 for line, _ in samples}
    for (line, _), seconds in samples.items():
        lines[line] += seconds
    assert set(lines) == {2, 4}
    assert lines[2] > 1.5 * lines[4]
    assert {place for line, place in samples if line == 2} <= {Place("<one cell>", "f", 2), None}
    assert Place("<one cell>", "f", 2) in {place for _, place in samples}


def test_work_that_holds_the_interpreter_counts_for_all_its_time() -> None:
    namespace: dict[str, Any] = {"numbers": list(range(2_000_000, 0, -1))}
    source = "a = 1\nmax(map(str, numbers))\nfor i in range(2000):\n    a += i\n"
    began = time.perf_counter()
    with sampled("<cell>", namespace) as samples:
        run(source, "<cell>", namespace)
    took = time.perf_counter() - began
    assert samples[2, None] > took / 2


def test_nobody_samples_when_it_is_over() -> None:
    import threading

    namespace: dict[str, Any] = {"time": time}
    with sampled("<cell>", namespace):
        run("time.sleep(0.01)", "<cell>", namespace)
    assert not [t for t in threading.enumerate() if t.name == "mpmagic-sampler"]
