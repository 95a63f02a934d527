"""Compiles mpmagic's one kernel in C while it is installed, where there is a compiler.

Without one nothing fails: counting is done by numpy then, in two passes over memory.
"""

from __future__ import annotations

import ctypes
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.tags import sys_tags

SOURCE = Path("mpmagic/count/bytecount.c")
# `native.py` looks for the same name.
TARGET = SOURCE.with_name(f"bytecount-{sys.platform}-{os.uname().machine}.so")
# The first needs gcc or a new clang, x86-64 and glibc.
VARIANTS = (["-DCLONES"], [])


class NativeKernel(BuildHookInterface):
    """Adds the compiled kernel to a wheel, and to the tree of an editable installation."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and say so in the wheel's tags; called by hatchling."""
        reason = _compile(Path(self.root))
        if reason:
            self.app.display_warning(f"counting will use numpy alone: {reason}")
            return
        build_data["artifacts"].append(f"/{TARGET}")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{next(sys_tags()).platform}"


def _compile(root: Path) -> str:
    """Make the kernel from its source; what was in the way, if something was."""
    (root / TARGET).unlink(missing_ok=True)  # of an older source
    if sys.platform == "darwin" and subprocess.run(["xcode-select", "-p"], check=False).returncode:
        return "there is no compiler"  # to call `cc` would open a window
    reason = ""
    with tempfile.TemporaryDirectory(dir=root / SOURCE.parent) as folder:
        for variant in VARIANTS:
            made = Path(folder, f"{len(variant)}.so")
            reason = _variant(root / SOURCE, made, variant)
            if not reason:
                made.replace(root / TARGET)
                return ""
    return reason


def _variant(source: Path, made: Path, options: list[str]) -> str:
    compiler = shlex.split(os.environ.get("CC", "cc"))
    flags = ["-O3", "-fPIC", "-shared", *options, "-o", str(made), str(source)]
    try:
        subprocess.run([*compiler, *flags], check=True, capture_output=True, text=True)
        count = ctypes.CDLL(str(made)).mpmagic_count_byte
    except subprocess.CalledProcessError as error:
        said = [line for line in error.stderr.splitlines() if "error" in line]
        return said[0] if said else str(error)
    except OSError as error:
        return str(error)
    return "" if count(b"\na\n", ctypes.c_size_t(3), 10) == 2 else "the compiled kernel miscounts"
