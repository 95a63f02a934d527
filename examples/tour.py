"""The tour in a terminal: ``ipython examples/tour.py`` shows and runs the cells of ``tour.ipynb``.

A file of IPython input is one cell, and ``%%parallel`` has to be the first line of its own, so the
cells are handed to the shell one by one.
"""

import json
import sys
from pathlib import Path

from IPython import get_ipython


def play(notebook: Path) -> None:
    """Run the cells of a notebook in the shell that runs this script, up to the first error."""
    shell = get_ipython()
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            print(f"\n{source}\n", flush=True)
            continue
        print(f"In [{shell.execution_count}]: " + source.replace("\n", "\n   ...: "), flush=True)
        if not shell.run_cell(source, store_history=True).success:
            sys.exit(1)


play(Path(__file__).with_name("tour.ipynb"))
