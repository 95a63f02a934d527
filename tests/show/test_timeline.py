"""The timeline: what is drawn adds up, stays on the page, and can be read without the picture."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from mpmagic.run.observer import Span, Unit
from mpmagic.show.lanes import Doing, lanes_of
from mpmagic.show.timeline import Timeline
from tests.show.events import CHUNKS, returned, tell

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def timeline() -> Timeline:
    timeline = Timeline()
    tell(timeline)
    return timeline


def picture(timeline: Timeline) -> ElementTree.Element:
    html = timeline._repr_html_()
    found = re.search(r"<svg.*</svg>", html, re.DOTALL)
    assert found is not None
    return ElementTree.fromstring(found[0])


def test_shares_are_those_of_the_events(timeline: Timeline) -> None:
    kernel, first, second = lanes_of(timeline.loops)
    assert timeline.span == 10
    assert (kernel.name, first.pid, second.pid) == ("kernel", 11, 22)
    assert kernel.shares(10).work == pytest.approx(1.0)
    assert first.shares(10).work == pytest.approx(8.0)
    # 0.5 to read, 0.25 to send until it goes on, 0.25 to read, 0.5 to send.
    assert first.shares(10).transfer == pytest.approx(1.5)
    assert first.shares(10).idle == pytest.approx(0.5)
    assert second.shares(10).work == pytest.approx(5.0)
    assert second.shares(10).idle == pytest.approx(3.0)


def test_acts_of_a_lane_do_not_overlap(timeline: Timeline) -> None:
    for lane in lanes_of(timeline.loops):
        for before, after in zip(lane.acts, lane.acts[1:], strict=False):
            assert before.ended <= after.began


def test_the_picture_parses_and_everything_on_it_has_a_title(timeline: Timeline) -> None:
    root = picture(timeline)
    rects = root.findall(f".//{SVG}rect")
    titles = [rect.findtext(f"{SVG}title") for rect in rects]
    assert all(titles)
    for chunk in CHUNKS:
        name = chunk.span.named(Unit.ITERATION)
        assert any(f"{name}: " in (title or "") and "of work" in (title or "") for title in titles)
    assert sum("committed" in (title or "") for title in titles) == len(CHUNKS)
    width = float(root.attrib["viewBox"].split()[2])
    for rect in rects:
        left, breadth = float(rect.attrib["x"]), float(rect.attrib["width"])
        assert left >= 0 and breadth > 0 and left + breadth <= width


def test_chunks_have_the_colour_of_their_worker(timeline: Timeline) -> None:
    groups = picture(timeline).findall(f"{SVG}g")
    colours = [group.attrib["fill"] for group in groups]
    assert len(set(colours)) == 3


def test_work_is_as_wide_as_it_took(timeline: Timeline) -> None:
    group = picture(timeline).findall(f"{SVG}g")[1]
    work = [r for r in group if "of work" in (r.findtext(f"{SVG}title") or "")]
    widths = [float(rect.attrib["width"]) for rect in work]
    assert widths[1] / widths[0] == pytest.approx(4.5 / 3.5, rel=0.01)


def test_many_chunks_stay_few_rectangles() -> None:
    chunks = [
        returned(11, 10 * i, (i / 1e3, i / 1e3, (i + 0.9) / 1e3, (i + 0.95) / 1e3))
        for i in range(10_000)
    ]
    timeline = Timeline()
    tell(timeline, chunks, commit=1e-5)
    root = picture(timeline)
    assert len(root.findall(f".//{SVG}rect")) < 3000
    assert len(timeline._repr_html_()) < 1_000_000
    assert lanes_of(timeline.loops)[1].shares(10).work == pytest.approx(9.0)


def test_the_text_shows_the_same(timeline: Timeline) -> None:
    kernel, first, second, axis, legend = repr(timeline).splitlines()
    assert kernel.endswith("1.0 s of commits")
    assert first.endswith("80% work, 15% transfer, 5% idle")
    assert second.endswith("50% work, 20% transfer, 30% idle")
    strip = second.partition("▕")[2].partition("▏")[0]
    assert len(strip) == 60
    assert strip.count("█") == 30
    assert strip.count("·") == 18  # from second 7 on
    assert "10 s" in axis
    assert "idle" in legend


def test_numbers_are_there_without_the_picture(timeline: Timeline) -> None:
    html = timeline._repr_html_()
    rest = re.sub(r"<svg.*</svg>", "", html, flags=re.DOTALL)
    for number in ("8.0 s", "5.0 s", "11", "22"):
        assert f">{number}<" in rest


def test_a_cell_without_a_loop_says_so() -> None:
    assert "no loop" in repr(Timeline())
    assert "no loop" in Timeline()._repr_html_()


def test_a_loop_that_was_interrupted_is_drawn_as_far_as_it_came() -> None:
    timeline = Timeline()
    tell(timeline)
    loop = timeline.loops[0]
    del loop.chunks[2:]
    loop.ended = loop.begun.at + 6
    assert picture(timeline) is not None
    assert timeline.span == 6


def test_spans_are_named() -> None:
    assert Span(3, 1).named(Unit.ITERATION) == "iteration 3"
    assert Span(3, 5).named(Unit.ITERATION) == "iterations 3 to 7"
    assert Span(3, 1).named(Unit.CALL) == "line 3"


def test_every_doing_is_told_apart_in_text() -> None:
    timeline = Timeline()
    tell(timeline, [returned(11, 0, (0.0, 4.0, 8.0, 8.0))])
    strip = repr(timeline).splitlines()[1].partition("▕")[2].partition("▏")[0]
    assert strip == "▒" * 24 + "█" * 24 + "·" * 12
    assert len(Doing) == 4
