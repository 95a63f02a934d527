"""The log of a web server that counting is measured on: a gigabyte, always the same."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

__all__ = ["access_log"]

_BYTES = 1 << 30


def access_log(folder: Path) -> Path:
    """The log, made if the folder hasn't got it."""
    path = folder / "access.log"
    if not path.exists():
        text = "".join(_lines()).encode()
        with path.open("wb") as file:
            while file.tell() < _BYTES:
                file.write(text)
    return path


def _lines() -> Iterator[str]:
    draw = random.Random(3)
    for number in range(400_000):
        address = ".".join(str(draw.randint(1, 255)) for _ in range(4))
        clock = f"{number // 36_000:02}:{number // 600 % 60:02}:{number // 10 % 60:02}"
        method = draw.choice(("GET", "GET", "GET", "POST", "PUT"))
        target = f"/{draw.choice(('api', 'static', 'img', 'api'))}/{draw.randint(1, 99_999)}"
        status = draw.choice(("200",) * 9 + ("404", "500", "301"))
        yield (
            f'{address} - - [10/Oct/2024:{clock} +0000] "{method} {target} HTTP/1.1" {status} '
            f'{draw.randint(100, 90_000)} "-" "Mozilla/5.0 (X11; Linux x86_64)"\n'
        )
