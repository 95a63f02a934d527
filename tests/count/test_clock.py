"""Lines by time, and the bars in which groups and intervals are shown."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from mpmagic.count import count_lines
from mpmagic.count.clock import interval_of

START = datetime(2024, 2, 28, 22, 59, 30)
FORMS = {
    "iso": "%Y-%m-%dT%H:%M:%S.123Z level=info message",
    "iso with a blank": "[%Y-%m-%d %H:%M:%S,123] INFO message",
    "slashes": "%Y/%m/%d %H:%M:%S message",
    "apache": '10.0.0.1 - - [%d/%b/%Y:%H:%M:%S +0000] "GET / HTTP/1.1" 200 17',
    "syslog": "%b %d %H:%M:%S host program[17]: message",
}


def times() -> list[datetime]:
    return [START + timedelta(seconds=37 * n * n % 90_000) for n in range(2000)]


def expected(interval: timedelta) -> dict[datetime, int]:
    origin = datetime(1970, 1, 1)
    found = Counter(time - (time - origin) % interval for time in times())
    return dict(sorted(found.items()))


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize(
    ("text", "seconds"), [("1h", 3600), ("10s", 10), ("15m", 900), ("1d", 86400)]
)
def test_formats(tmp_path: Path, form: str, text: str, seconds: int) -> None:
    path = tmp_path / "log"
    path.write_text("".join(time.strftime(form) + "\n" for time in times()))
    found = count_lines(path, by_time=text).times
    year = 1904 if form.startswith("%b") else 2024
    assert {time.replace(year=2024): number for time, number in found.items()} == expected(
        timedelta(seconds=seconds)
    )
    assert {time.year for time in found} == {year}
    assert list(found) == sorted(found)


@pytest.mark.parametrize("factor", [1, 1000])
def test_seconds_since_1970(tmp_path: Path, factor: int) -> None:
    path, origin = tmp_path / "log", datetime(1970, 1, 1)
    stamps = [int((time - origin).total_seconds()) * factor for time in times()]
    path.write_text("".join(f"{stamp} message\n" for stamp in stamps))
    assert count_lines(path, by_time="1h").times == expected(timedelta(hours=1))


def test_lines_without_a_time_are_told(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(
        "2024-01-01 10:00:00 a\n  trace\n2024-01-01 99:99:99 b\n2024-01-01 10:59:59 c\n"
    )
    counts = count_lines(path, by_time="h")
    assert counts == 4
    assert counts.times == {datetime(2024, 1, 1, 10): 2}
    assert "2 lines without a timestamp" in counts.table()
    assert count_lines(path, by_time="1h", match=":").times == counts.times


@pytest.mark.parametrize("text", ["", "1", "h1", "0h", "1 year", "-1h"])
def test_what_is_no_interval(text: str) -> None:
    with pytest.raises(ValueError, match="not an interval"):
        interval_of(text)


def test_a_histogram_in_text_and_picture(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("2024-01-01 10:00:00 a\n" * 80 + "2024-01-01 11:30:00 <b>\n" * 40)
    counts = count_lines(path, by_time="1h")
    assert counts.table().splitlines()[-2:] == [
        "2024-01-01 10:00  80  " + "█" * 30,
        "2024-01-01 11:00  40  " + "█" * 15,
    ]
    page = counts._repr_html_()
    assert page.count("<rect") == 2
    assert "<svg" in page
    assert "<details>" in page
    assert "80" in page.split("<details>")[1]


def test_a_table_of_groups(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("".join(f"<k{n % 40}>\n" * (n % 40 + 1) for n in range(40)))
    counts = count_lines(path, by="<k[0-9]+>")
    assert "<k39>" in counts.table()
    assert "… and 15 more with" in counts.table()
    page = counts._repr_html_()
    assert "&lt;k39&gt;" in page
    assert "<k39>" not in page


def test_plots(tmp_path: Path) -> None:
    figure = pytest.importorskip("matplotlib.figure")
    path = tmp_path / "log"
    path.write_text("2024-01-01 10:00:00 a\n" * 8 + "2024-01-01 11:30:00 b\n" * 4)
    axes = count_lines(path, by_time="1h").plot(figure.Figure().subplots())
    assert axes.lines[0].get_ydata().tolist() == [8, 4]
    axes = count_lines(path, by="[ab]$").plot(figure.Figure().subplots())
    assert [bar.get_width() for bar in axes.patches] == [4, 8]
