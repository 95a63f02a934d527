"""mpmagic and its peers side by side: `python -m tests.bench.peers`.

Each contestant has a Jupyter kernel of its own, in which cells define the functions and the data.
A round times every contestant once, in turn, inside its kernel; ratios are those of a round, so
that what slows the machine down slows both sides of them. Every result is checked.
"""
