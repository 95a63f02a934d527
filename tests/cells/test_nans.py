"""NaNs that are found by their identity, on both sides."""

from __future__ import annotations

import subprocess
import sys

COLD = """
import math, struct, sys
from mpmagic.run.nans import NAN, Nans
assert "numpy" not in sys.modules
found = Nans(numbering=False).found((NAN, "numpy", struct.pack(">d", math.nan)), {})
import numpy
assert found is numpy.nan
"""


def test_numpys_nan_is_found_before_anybody_has_imported_numpy() -> None:
    subprocess.run([sys.executable, "-c", COLD], check=True)
