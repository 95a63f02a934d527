"""What ``--help`` says of the magics, besides their options."""

from typing import Final

__all__ = [
    "COMMIT",
    "EXPRESSION",
    "EXPRESSION_EXAMPLES",
    "PARALLEL",
    "PARALLEL_EXAMPLES",
    "POOL",
    "POOL_EXAMPLES",
]

PARALLEL: Final = """
Run the loops of a cell on all cores. Delete the line and you get the same cell: the same
names, values, order, output and exception. A cell for which that can't be kept is refused
before anything ran, with the line and the reason.

The body of a loop is cut in two. Work runs in a pool of processes, several iterations at
once. Commits, which touch what iterations share (out.append(y), total += y), run in the
notebook's kernel, in the order of the loop. Comprehensions are loops too; in a cell without
a loop, adjacent statements of the form name = call(...) run side by side.
"""

PARALLEL_EXAMPLES: Final = """
Examples, each in a cell of its own:

    %%parallel
    sizes, total = {}, 0
    for path in paths:
        frame = parse(path)
        sizes[path.name] = len(frame)
        total += len(frame)

    %%parallel --private model
    scores = []
    for x, y in folds:
        model.fit(x, y)
        scores.append(model.score(x, y))

%%parallel --explain on top of a cell shows which line runs where, and why. %mppool shows
the workers, and stops them.
"""

EXPRESSION: Final = """
The value of an expression whose outermost comprehensions and generators are computed on all
cores. Delete the magic and you get the same value: the same order, output and exception, or
a refusal before anything of the expression ran.

The elements are computed in a pool of processes; what collects them (sum, sorted, dict) runs
in the notebook's kernel. The expression stands in one line, behind the options; `--` ends
them where it begins with a minus.
"""

EXPRESSION_EXAMPLES: Final = """
Examples:

    sizes = %parallel [len(parse(path)) for path in paths]
    total = %parallel -n 4 sum(area(shape) for shape in shapes)
    %parallel {name: load(name) for name in names}

%%parallel on top of a cell runs its statements so; its help says more.
"""

COMMIT: Final = """
Run the commits of a cell that was begun with %%parallel --bg NAME, and the rest of that cell.
The same as NAME.commit().
"""

POOL: Final = """
Show the workers of %%parallel and what they do. They start with the first parallel cell, are
kept between cells, and end with the notebook's kernel.
"""

POOL_EXAMPLES: Final = """
Examples:

    %mppool
    %mppool stop          the next parallel cell starts new ones
    %mppool restart       import changed modules anew
    %mppool -n 8
    %mppool --memory 2G   an iteration that wants more raises MemoryError (Linux)
    %mppool --threads kernel    sums of BLAS to the last bit as in the kernel
"""
