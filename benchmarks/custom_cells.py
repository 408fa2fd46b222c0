"""Other cells than the LSTM: what they cost beside it, and how fast they are without our compiler."""

from functools import partial

import torch
from torch import Tensor

import gatework
from equality import refuse_unless_equal
from gatework.cells import CELLS, Cell, sigmoid, tanh
from lstm_pair import trainer
from rivals_of_cells import COMPILED_STEPS, compiled_steps, eager_trainer, torch_compiled_trainer
from timing import Row, Run, against


def coupled_step(x, r, s, w):  # type: ignore[no-untyped-def]
    """An own pointwise cell: input and forget gate are coupled."""
    keep = sigmoid(x.forget + r.forget)
    c = keep * s.c + (1.0 - keep) * tanh(x.candidate + r.candidate)
    return {"h": sigmoid(x.output + r.output) * tanh(c), "c": c}


COUPLED = Cell("own", "An own pointwise cell", ("forget", "candidate", "output"), ("h", "c"), coupled_step)


def cells_of_torch(layer: gatework.Recurrent, x: Tensor, gradient: Tensor, has_torch_compile: bool) -> dict[str, Run]:
    """The same cell eager and, if asked for, through torch.compile: one training step each."""
    # 100 steps of a cell with layer normalisation multiply rounding errors beyond any tolerance; two chunks do not
    few = 2 * COMPILED_STEPS
    few_x, few_gradients = x.detach()[:few].clone().requires_grad_(), gradient[:few]
    ours = trainer(layer, few_x, few_gradients)()
    makers = {"eager": eager_trainer}
    if has_torch_compile:
        makers["torch.compile"] = partial(torch_compiled_trainer, compiled_steps(layer.cell))
    runs: dict[str, Run] = {}
    for name, make in makers.items():
        refuse_unless_equal(f"{layer.cell.name} of {layer.hidden_size} units, {name}", make(layer, few_x, few_gradients)(), ours)
        runs[name] = make(layer, x, gradient)
    return runs


def cells(seconds: float, has_torch_compile: bool) -> list[Row]:
    """Training time per multiply-add of other cells against our lstm, and against the same cells without our compiler."""
    rows: list[Row] = []
    for units in (64, 128, 256):
        x, gradient = torch.randn(100, 24, units, requires_grad=True), torch.randn(100, 24, units)
        lstm = trainer(gatework.LSTM(units, units), x, gradient)
        for cell in (CELLS["peephole"], CELLS["gru"], COUPLED, CELLS["layernorm"]):
            layer = gatework.Recurrent(cell, units, units)
            run = trainer(layer, x, gradient)
            runs: dict[str, Run] = {}
            if cell.name in ("peephole", "layernorm"):
                runs = cells_of_torch(layer, x, gradient, has_torch_compile)
            found = against(run, {"lstm": lstm, **runs}, seconds)
            # the products of a cell grow with its gates, of which an lstm has four
            per_product = 4 / len(cell.gates) / found["lstm"]["ratio"]
            rows.append({"cell": cell.name, "units": units, "time_per_product": per_product, "against": found})
            print(cell.name, units, {name: round(side["ratio"], 2) for name, side in found.items()}, flush=True)
    return rows
