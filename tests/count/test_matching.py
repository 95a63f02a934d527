"""Lines that match: against `re` line by line, and against `grep -c`."""

from __future__ import annotations

import contextlib
import io
import itertools
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, ThreadPoolExecutor
from pathlib import Path

import pcre2
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpmagic.count import CountInterrupted, Status, count_lines
from mpmagic.count.literals import Literals
from mpmagic.count.matching import Matcher
from mpmagic.count.nativeregex import _library as _system_pcre2
from mpmagic.count.nativeregex import native_regex
from mpmagic.count.patterns import Pattern, portable, required
from mpmagic.count.progress import Progress
from mpmagic.count.splitting import Parts
from mpmagic.errors import WorkerDied

compiled = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler here")
with_pcre2 = pytest.mark.skipif(_system_pcre2() is None, reason="the system has no libpcre2-8")
PIECES = [
    "a",
    "B",
    "b",
    "k",
    "0",
    "7",
    "_",
    " ",
    "\t",
    "-",
    '"',
    ".",
    "\x1c",
    "\x0c",
    "\u00e9",
    "\u212a",
]
LINES = st.lists(st.sampled_from([*PIECES, *PIECES, "\n", "\n", "\r\n", "\r"]), max_size=60).map(
    "".join
)
ATOMS = [
    "a",
    "b",
    "7",
    " ",
    ".",
    r"\d",
    r"\w",
    r"\s",
    r"\S",
    r"\W",
    r"\D",
    "[a-k]",
    '[^"]',
    r"[^\s7]",
]
ATOMS += ["b7_", "(ab7|a)", "(a|b)", "(?:7|ab)", "^", "$", r"\b", r"\B", r"[\w-]", "\u00e9", "k"]
TAILS = ["", "", "", "+", "*", "?", "{2}", "{1,2}", "+?", "*?", "??", "++"]
REGEXES = st.lists(
    st.builds(str.__add__, st.sampled_from(ATOMS), st.sampled_from(TAILS)), min_size=1, max_size=4
).map("".join)


@contextlib.contextmanager
def engine(name: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        if name == "native":
            assert native_regex(b"a") is not None, "libpcre2-8 isn't there, or has no JIT"
        else:
            patch.setattr("mpmagic.count.matching.native_regex", lambda _: None)
            patch.setattr("mpmagic.count.matching.native_literal", lambda _: None)
            patch.setitem(sys.modules, "pcre2", None if name == "re" else pcre2)
        yield


def bare_lines(text: str) -> list[str]:
    """The lines of a text without their ends: of `\\n`, or of `\\r\\n`."""
    return [
        line.removesuffix("\n").removesuffix("\r") if line.endswith("\n") else line
        for line in io.StringIO(text, newline="\n")
    ]


def compiles(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("native", marks=[compiled, with_pcre2]),
        "pcre2",
        "re",
    ],
)
@settings(deadline=None)
@given(
    text=LINES, pattern=REGEXES.filter(compiles), ignore_case=st.booleans(), invert=st.booleans()
)
def test_every_pattern_means_what_re_says(
    name: str,
    tmp_path_factory: pytest.TempPathFactory,
    text: str,
    pattern: str,
    ignore_case: bool,
    invert: bool,
) -> None:
    path = tmp_path_factory.getbasetemp() / "matched"
    path.write_bytes(text.encode())
    search = re.compile(pattern, re.IGNORECASE if ignore_case else 0).search
    lines = bare_lines(text)
    expected = sum((search(line) is not None) != invert for line in lines)
    with engine(name):
        counts = count_lines(path, match=pattern, ignore_case=ignore_case, invert=invert)
    assert counts == expected
    assert counts[path].lines == len(lines)


@settings(deadline=None)
@given(text=LINES, pattern=REGEXES.filter(compiles))
def test_groups_are_what_re_captures(
    tmp_path_factory: pytest.TempPathFactory, text: str, pattern: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "grouped"
    path.write_bytes(text.encode())
    found = [match for line in bare_lines(text) if (match := re.search(pattern, line))]
    expected = Counter((match[1] if match.re.groups else match[0]) or "" for match in found)
    assert count_lines(path, by=pattern).groups == expected


@settings(deadline=None)
@given(
    text=LINES,
    literals=st.lists(
        st.text(st.sampled_from('ab7. _k"-'), min_size=1, max_size=4), min_size=1, max_size=3
    ),
    ignore_case=st.booleans(),
)
def test_literals(
    tmp_path_factory: pytest.TempPathFactory, text: str, literals: list[str], ignore_case: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "literal"
    path.write_bytes(text.encode())
    either = re.compile("|".join(map(re.escape, literals)), re.IGNORECASE if ignore_case else 0)
    expected = sum(either.search(line) is not None for line in bare_lines(text))
    assert count_lines(path, match=literals, fixed=True, ignore_case=ignore_case) == expected


@pytest.mark.parametrize("literal", [b"x", b"xy", b"yx", b"needle", b"e", b"\n"[:0] + b"zz"])
@pytest.mark.parametrize("density", [0.0001, 0.01, 0.5])
def test_literals_in_large_blocks(
    literal: bytes, density: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    import random

    draw = random.Random(len(literal) + int(density * 1e4))
    data = b"".join(
        (literal if draw.random() < density else b"other words")
        + draw.choice((b"\n", b" ", b"xyx"))
        for _ in range(20_000)
    )
    expected = sum(literal in line for line in data.split(b"\n"))
    assert Literals((literal,)).count(memoryview(data)) == expected
    monkeypatch.setattr("mpmagic.count.literals.native_literal", lambda _: None)
    assert Literals((literal,)).count(memoryview(data)) == expected
    monkeypatch.setattr("mpmagic.count.literals.split_positions", lambda: None)
    assert Literals((literal,)).count(memoryview(data)) == expected


@pytest.mark.parametrize("block", [b"", b"ab", b"abab", b"aab", b"aba", b"xx", b"a\nab\n" * 50_000])
def test_parts(block: bytes) -> None:
    parts, expected = Parts(memoryview(block), b"ab"), block.split(b"ab")
    bounds, joined = parts.bounds.tolist(), parts.joined.tobytes()
    assert [joined[a:b] for a, b in itertools.pairwise(bounds)] == expected


def test_patterns_that_are_put_into_another_form() -> None:
    for source in (
        r"(GET|POST) /api/\d+7 ",
        "^a.*b$",
        r"[^\"]+x",
        r"\bword\b",
        r"a{2,5}?b",
        r"\s\S\w",
    ):
        assert portable(Pattern(source)) is not None
    # Look-around, back references and so on; what may be empty; what names a newline; no ASCII.
    for source in (
        r"(a)\1",
        "(?=a)a",
        "a*",
        "a++",
        r"\Aa",
        r"a\Z",
        r"a\n",
        "[\x00-\x7f]",
        "\u00e9",
        "(?s)a.",
    ):
        assert portable(Pattern(source)) is None
    assert portable(Pattern("x(a)y"), capture=True) is not None
    for source in ("(a)?b", "(a)+b", "(a)|b", "(?:x(a))+"):
        assert portable(Pattern(source), capture=True) is None


def test_what_each_matching_line_holds() -> None:
    for source, literal in (
        (r"(GET|POST) /api/\d+7 ", b" /api/"),
        (r"error: (\d+)", b"error: "),
        (r"(found) (it)", b"found"),
        (r"x(?P<name>needle)y?", b"needle"),
        (r"^a\.b\.c$", b"a.b.c"),
    ):
        assert required(Pattern(source)) == literal
    for source in (r"ab\d", "abc|abd", "(abc)?d", "(abc)*d", "(?i)abcd", "(?i:abcd)", "[abc]d",
                   "\u00e9\u00e9\u00e9", r"abc\n\n"):  # fmt: skip
        assert required(Pattern(source)) in (None, b"abc"), source
    assert required(Pattern("abcd", ignore_case=True)) is None
    assert required(Pattern("abc|abd")) == required(Pattern("(abc)?d")) is None


@compiled
@pytest.mark.parametrize("dense", [False, True])
def test_lines_are_sifted_as_long_as_that_helps(dense: bool) -> None:
    lines = [f"{'needle' if dense or i % 50 == 0 else 'other'} {i}\n" for i in range(20_000)]
    block = memoryview(bytearray("".join(lines).encode()))
    matcher = Matcher((Pattern(r"needle \d*7"),))
    assert matcher._sieve is not None
    for _ in range(2):
        assert matcher.count(block) == sum(
            re.search(r"needle \d*7", line) is not None for line in lines
        )
        assert (matcher._sieve is None) == dense


@compiled
@with_pcre2
def test_a_search_that_takes_too_much_is_done_by_re() -> None:
    block = memoryview(bytearray(b"a" * 40 + b"cb\naab\n"))
    native = native_regex(b"(?:(?:a{1,30}){1,30}){1,9}b")
    assert native is not None and native.count(block) is None, "PCRE2 gives up"
    assert native.count(block[-4:]) == 1


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "binary"
    path.write_bytes(b"\xff\xfe\x00abc\n\x80abc\xe9\n\n" * 3)
    data = path.read_bytes().decode("utf-8", "surrogateescape")
    path.write_bytes(b"x" + path.read_bytes())
    for pattern in ("abc", "ab.", ".abc$", "^.abc.$"):
        expected = sum(bool(re.search(pattern, line)) for line in ("x" + data).split("\n"))
        assert count_lines(path, match=pattern) == expected


def test_a_pattern_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"not a regular expression: '\(': "):
        count_lines(tmp_path, match="(")
    assert Pattern("(", fixed=True).literal == b"("


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("log") / "access.log"
    methods, answers = ("GET", "POST", "PUT"), (200, 404, 500)
    lines = [
        f"10.0.{n % 7}.{n % 250} - - [{1 + n // 9000:02}/Oct/2024:{n % 24:02}:00:{n % 60:02} +0000]"
        f' "{methods[n * n % 3]} /api/{n * 7919 % 100_000} HTTP/1.1" {answers[n % 3]}\n'
        for n in range(140_000)
    ]
    path.write_text("".join(lines))
    assert path.stat().st_size > 9 << 20
    return path


def grep(*arguments: str | Path) -> int:
    return int(subprocess.run(["grep", "-c", *arguments], capture_output=True, text=True).stdout)


CASES = [
    (["POST"], [], {}),
    (["-i", "post"], ["post"], {"ignore_case": True}),
    (["-v", "GET"], ["GET"], {"invert": True}),
    (["-F", "/api/7 "], ["/api/7 "], {"fixed": True}),
    (["-E", "(GET|POST) /api/[0-9]+7 "], [r"(GET|POST) /api/\d+7 "], {}),
    (["-e", "404$", "-e", "^10.0.3"], ["404$", r"^10\.0\.3"], {}),
    (["-P", r"([0-9])\1 HTTP"], [r"([0-9])\1 HTTP"], {}),
]


@pytest.mark.parametrize(("flags", "patterns", "options"), CASES)
def test_against_grep(
    log: Path, flags: list[str], patterns: list[str], options: dict[str, bool]
) -> None:
    counts = count_lines(log, match=patterns or flags, threads=2, **options)  # type: ignore[arg-type]
    assert counts == grep(*flags, log)
    assert counts[log].lines == 140_000


def test_groups_on_processes_and_on_any_executor(log: Path) -> None:
    expected = Counter(re.findall(r'" (\d+)$', log.read_text(), re.MULTILINE))
    groups = count_lines(log, by=r'" (\d+)$', threads=2).groups
    assert groups == expected
    assert list(groups.values()) == sorted(groups.values(), reverse=True)
    with ThreadPoolExecutor(3) as executor:
        assert (
            count_lines([log, log.parent / "*"], by=r'" (\d+)$', executor=executor).groups
            == expected
        )


def test_grouping_only_what_matches(log: Path) -> None:
    counts = count_lines(log, match="POST", by=r'" (\d+)$')
    assert sum(counts.groups.values()) == counts == grep("POST", log)
    others = count_lines(log, match="POST", invert=True, by=r'" (\d+)$')
    assert sum(others.groups.values()) == others == 140_000 - counts


class _Failing(ThreadPoolExecutor):
    """An executor whose tasks end in an error of the operating system, but for the first."""

    calls = 0

    def submit(self, fn, /, *args, **kwargs):  # type: ignore[no-untyped-def]
        self.calls += 1
        if self.calls == 1:
            return super().submit(fn, *args, **kwargs)
        return super().submit(open, "/nowhere/at/all")


def test_an_executor_that_fails_costs_its_stretches(log: Path) -> None:
    with _Failing(2) as executor:
        counts = count_lines(log, match=r"(4)\d\1", executor=executor)
    assert counts[log].status is Status.PARTIAL
    assert "no such file" in counts[log].reason
    assert 0 < counts[log].bytes < log.stat().st_size


class _Interrupting(Progress):
    def show(self, done: int) -> None:
        raise KeyboardInterrupt


@pytest.mark.parametrize("other", [False, True])
def test_an_interrupt_on_processes(log: Path, monkeypatch: pytest.MonkeyPatch, other: bool) -> None:
    monkeypatch.setattr("mpmagic.count.dispatch._PATIENCE", 0.0)
    monkeypatch.setattr("mpmagic.count.engine._PATIENCE", 0.0)
    before = psutil.Process().children(recursive=True)
    with ThreadPoolExecutor(2) as executor, pytest.raises(CountInterrupted) as caught:
        given = {"executor": executor} if other else {}
        count_lines(log, match=r"(\d)\1\1\1", progress=_Interrupting(), threads=2, **given)
    assert caught.value.counts.partial
    assert set(psutil.Process().children(recursive=True)) <= set(before)


class _Killing(Progress):
    """Kills the process that counts along, as soon as it's there."""

    def show(self, done: int) -> None:
        for server in psutil.Process().children():
            with contextlib.suppress(psutil.NoSuchProcess):
                for worker in server.children():
                    worker.kill()


def test_a_process_that_is_killed(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mpmagic.count.engine._PATIENCE", 0.0)
    monkeypatch.setattr("mpmagic.count.engine._REFRESH", 0.0)
    with pytest.raises((WorkerDied, BrokenExecutor)):
        count_lines(log, match=r"(\d)\1\1\1", progress=_Killing(), threads=2)


GROUPS = {
    "short": (r"=(\w*)", "a=b\na=cd\nnone\na=\na=cd\n"),
    "eight and nine bytes": (r"=(\w*)", "a=12345678\na=123456789\na=1\n" * 30_000),
    "the marks": (r"=(.)", "a=\0\na=b\n\0=c\n" * 30_000),
    "no group": (r"\d\d", "1\n22\n3 33 444\n"),
    "nothing": (r"=(x)", "a=b\n" * 30_000),
    "beyond ASCII": (r"=(.+)", "a=b\na=\u00e9\na=b\n" * 30_000),
}


@pytest.mark.parametrize("name", GROUPS)
def test_groups(tmp_path: Path, name: str) -> None:
    pattern, text = GROUPS[name]
    (tmp_path / "text").write_text(text)
    found = filter(None, (re.search(pattern, line) for line in text.split("\n")))
    expected = Counter(match[min(1, match.re.groups)] for match in found)
    assert count_lines(tmp_path / "text", by=pattern).groups == expected
