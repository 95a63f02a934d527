"""Tensors, models and torch's stream of random numbers, in cells of their own."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from mpmagic.errors import LostWrite, UnsendableValue
from tests.notebook import Notebook

SETUP = """
import torch
torch.manual_seed(1)
out = []
net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2)).eval()
net(torch.ones(4)).sum().backward()
data = [torch.rand(5, 4) for _ in range(8)]
big = torch.arange(300000.0)
parameter = torch.nn.Parameter(torch.ones(3))
short = torch.ones(4, dtype=torch.bfloat16)
sparse, part = torch.eye(3).to_sparse(), torch.arange(10.0)[2:5]
conjugate, turned = torch.tensor([1 + 2j]).conj(), torch.arange(12.0).reshape(3, 4).t()
zero, empty, flags = torch.tensor(3.5), torch.ones(0, 3), torch.tensor([True])
named = torch.ones(2)
named.note = "hello"
class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 2)
    def forward(self, x):
        return self.layer(x)
model = Model().eval()
dropout = torch.nn.Dropout(0.5)
def draw():
    return torch.rand(2)
def constant(x):
    torch.nn.init.constant_(net[0].weight, x)
    return x
"""

EQUAL = [
    "with torch.no_grad():\n        y = net(data[x])\n    out.append(y)",
    "out.append(model(data[x]).detach())",
    "out.append(big[x : x + 3] * 2)",
    "out.append(parameter.sum().item() * x)",
    "out.append((short * x, zero * x, empty, flags, conjugate, turned * x, turned, part * x))",
    "out.append((sparse * x).to_dense())",
    "out.append((named.note, named * x))",
    "out.append(net[0].weight.grad * x)",
    "big[x] = x * 2.5\n    out.append(x)",
    "out.append(torch.ones(50_000) * x)",
    "t = (torch.ones(3) * x).requires_grad_()\n    (t * t).sum().backward()\n    out.append(t)",
    "out.append(torch.nn.Parameter(torch.ones(2) * x))",
]


def told(values: dict[str, Any]) -> list[Any]:
    """What can be seen of the results."""
    gradients = [getattr(value, "grad", None) for value in values["out"]]
    return [repr(values["out"]), repr(gradients), values["big"].tolist()[:9], repr(values.get("y"))]


@pytest.mark.parametrize("body", EQUAL)
def test_equal(body: str, pool_notebook: Notebook) -> None:
    cell = f"for x in range(6):\n    {body}"
    serial = pool_notebook.run(SETUP, cell)
    state = torch.get_rng_state()
    parallel = pool_notebook.run(SETUP, f"%%parallel -n 2 --chunk 1\n{cell}")
    assert serial.error is None
    assert parallel.error is None
    assert parallel.report.split == 1
    assert told(parallel.names) == told(serial.names)
    assert torch.equal(torch.get_rng_state(), state)


def test_result_can_be_resized(pool_notebook: Notebook) -> None:
    cell = "%%parallel -n 2\nfor x in range(4):\n    out.append(torch.ones(50_000) * x)"
    outcome = pool_notebook.run(SETUP, cell)
    assert outcome.names["out"][0].resize_(60_000).shape == (60_000,)


ERRORS = {
    "out.append(draw())": (LostWrite, "drew from the global stream of `torch`"),
    "out.append(dropout(torch.ones(3)))": (LostWrite, "drew from the global stream of `torch`"),
    "out.append(constant(x))": (LostWrite, "changed `net`"),
    "out.append(net(data[x]))": (UnsendableValue, "detach()"),
}


@pytest.mark.parametrize("body", ERRORS)
def test_errors(body: str, pool_notebook: Notebook) -> None:
    cell = f"%%parallel -n 2 --chunk 1\nfor x in range(4):\n    {body}"
    outcome = pool_notebook.run(SETUP, cell)
    kind, words = ERRORS[body]
    assert isinstance(outcome.error, kind), outcome.error
    assert words in str(outcome.error)
    assert not outcome.names["out"]


IMPORTED = """
out = []
def draw():
    import torch
    return torch.rand(2).tolist()
def ones():
    import torch
    return torch.ones(2).tolist()
"""


def test_a_stream_that_comes_with_the_import_is_watched(pool_notebook: Notebook) -> None:
    cell = "%%parallel -n 2\nfor x in range(4):\n    out.append({})"
    for call in ("ones()", "draw()"):
        pool_notebook.run("", "%mppool restart")
        outcome = pool_notebook.run(IMPORTED, cell.format(call))
        assert isinstance(outcome.error, LostWrite) == (call == "draw()"), outcome.error


def test_seeded_iterations_draw_the_same_in_any_chunks(pool_notebook: Notebook) -> None:
    cell = "for x in range(6):\n    out.append(draw().tolist())"
    runs = [
        pool_notebook.run(SETUP, f"%%parallel -n 2 --seed 3 {options}\n{cell}").names["out"]
        for options in ("", "--chunk 1", "--chunk 4")
    ]
    assert runs[0] == runs[1] == runs[2]
    assert len({tuple(drawn) for drawn in runs[0]}) == 6
