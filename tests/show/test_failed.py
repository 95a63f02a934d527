"""The table of iterations that were passed over."""

from __future__ import annotations

from mpmagic.run.options import FailedIteration
from mpmagic.show.failed import FailedTable

FAILED = [
    FailedIteration(4, 17, "PosixPath('a.csv')", "ValueError: not a <table>", 1),
    FailedIteration(4, 1200, "'" + "b" * 40 + "'", "OSError: " + "long " * 100, 3),
]


def test_a_row_for_each() -> None:
    head, first, second = repr(FailedTable(FAILED)).splitlines()
    assert head.split() == ["line", "iteration", "item", "tries", "error"]
    assert first.split(maxsplit=4) == [
        "4", "17", "PosixPath('a.csv')", "1", "ValueError: not a <table>",
    ]  # fmt: skip
    assert second.split()[1] == "1200" and second.endswith("...")
    assert len(second) < 180


def test_html_escapes_what_it_shows() -> None:
    html = FailedTable(FAILED)._repr_html_()
    assert html.count("<tr") == 3
    assert "not a &lt;table&gt;" in html


def test_many_are_not_all_shown() -> None:
    table = FailedTable(FAILED * 100)
    assert repr(table).endswith("and 150 more")
    assert "and 150 more" in table._repr_html_()
