"""Formats on their way to a worker: what they name is imported when something is displayed."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
from IPython.lib.pretty import _repr_pprint

from mpmagic.cell.formats import carried_formats
from tests.notebook import Notebook

WORKER = """\
import pickle, sys
carried = pickle.load(sys.stdin.buffer)
before = "numpy" in sys.modules
formatter = carried.new_formatter()
import numpy
text = formatter.formatters["text/plain"](numpy.float64(0.5))
print(before, text)
"""


def test_a_printer_for_numpys_floats_has_no_worker_import_numpy(notebook: Notebook) -> None:
    formatter = notebook.shell.display_formatter.formatters["text/plain"]
    before = formatter.for_type(np.float64, _repr_pprint)
    try:
        carried = pickle.dumps(carried_formats(notebook.shell.user_ns))
    finally:
        formatter.type_printers.pop(np.float64)
        if before is not None:
            formatter.for_type(np.float64, before)
    ran = subprocess.run(
        [sys.executable, "-c", WORKER], input=carried, capture_output=True, timeout=60, check=True
    )
    assert ran.stdout.decode() == f"False {np.float64(0.5)!r}\n"
