"""Cells with matrices, bypassing inputs or gates without recurrence, built-in and own.

Each stands beside the same mathematics in straight torch code.

A truth takes the parameters of one direction by their names without `_l0`, x (steps, batch, input_size) and the initial states
(batch, size), and gives the outputs (steps, batch, size) and the final states.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from gatework.cells import CELLS, Cell, Names, Operand, mean, sigmoid, tanh

Parameters = dict[str, Tensor]
Truth = Callable[[Parameters, Tensor, list[Tensor]], tuple[Tensor, list[Tensor]]]


def reset_before_step(x: Names, r: Names, s: Names, w: Names) -> dict[str, Operand]:
    """The reset gate acts on h before the recurrent product (Cho et al. 2014, arXiv:1406.1078v3)."""
    reset = sigmoid(x.reset + r.reset)
    update = sigmoid(x.update + r.update)
    candidate = tanh(x.candidate + w.candidate @ (reset * s.h))
    return {"h": (1 - update) * candidate + update * s.h}


RESET_BEFORE = Cell(
    "reset_before", "GRU, reset before the product", ("reset", "update", "candidate"), ("h",), reset_before_step,
    matrices=("candidate",), input_only=("candidate",),
)  # fmt: skip


def reset_before_truth(p: Parameters, x: Tensor, start: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
    (h,), outputs = start, []
    for x_t in x:
        of_x = x_t @ p["weight_ih"].T + p["bias_ih"]
        of_h = h @ p["weight_hh"].T + p["bias_hh"]
        (reset_x, update_x, candidate_x), (reset_h, update_h) = of_x.chunk(3, -1), of_h.chunk(2, -1)
        reset, update = torch.sigmoid(reset_x + reset_h), torch.sigmoid(update_x + update_h)
        h = (1 - update) * torch.tanh(candidate_x + (reset * h) @ p["weight_candidate"].T) + update * h
        outputs.append(h)
    return torch.stack(outputs), [h]


def multiplicative_step(x: Names, r: Names, s: Names, w: Names) -> dict[str, Operand]:
    """Multiplicative LSTM (Krause et al. 2016, arXiv:1609.07959)."""
    m = x.factor * r.factor
    write = sigmoid(x.input + w.input @ m)
    keep = sigmoid(x.forget + w.forget @ m)
    show = sigmoid(x.output + w.output @ m)
    c = keep * s.c + write * tanh(x.candidate + w.candidate @ m)
    return {"h": show * tanh(c), "c": c}


OF_FACTOR = ("input", "forget", "candidate", "output")
MULTIPLICATIVE = Cell(
    "multiplicative", "Multiplicative LSTM", ("factor", *OF_FACTOR), ("h", "c"), multiplicative_step,
    matrices=OF_FACTOR, input_only=OF_FACTOR,
)  # fmt: skip


def multiplicative_truth(p: Parameters, x: Tensor, start: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
    (h, c), outputs = start, []
    for x_t in x:
        factor, *of_x = (x_t @ p["weight_ih"].T + p["bias_ih"]).chunk(5, -1)
        m = factor * (h @ p["weight_hh"].T + p["bias_hh"])
        i, f, g, o = (part + m @ p[f"weight_{gate}"].T for part, gate in zip(of_x, OF_FACTOR, strict=True))
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        if "weight_hr" in p:
            h = h @ p["weight_hr"].T
        outputs.append(h)
    return torch.stack(outputs), [h, c]


def t_lstm_truth(p: Parameters, x: Tensor, start: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """Baytas et al. 2017, section 3.1; g(Δt) = 1 / log(e + Δt)."""
    (h, c), outputs = start, []
    for x_t in x:
        sums = x_t[:, :-1] @ p["weight_ih"].T + p["bias_ih"] + h @ p["weight_hh"].T + p["bias_hh"]
        i, f, g, o = sums.chunk(4, -1)
        short = torch.tanh(c @ p["weight_short"].T + p["unit_short_bias"])
        adjusted = (c - short) + short * (1 / torch.log(math.e + x_t[:, -1:]))
        c = f.sigmoid() * adjusted + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        outputs.append(h)
    return torch.stack(outputs), [h, c]


def gru_d_truth(p: Parameters, x: Tensor, start: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """Che et al. 2018, Methods: z, r and the candidate over the faded state."""
    (h,), outputs = start, []
    for x_t in x:
        reset, update, candidate, decay = (x_t @ p["weight_ih"].T + p["bias_ih"]).chunk(4, -1)
        faded = torch.exp(-decay.clamp(min=0)) * h
        r = torch.sigmoid(reset + faded @ p["weight_reset"].T)
        z = torch.sigmoid(update + faded @ p["weight_update"].T)
        h = (1 - z) * faded + z * torch.tanh(candidate + (r * faded) @ p["weight_candidate"].T)
        outputs.append(h)
    return torch.stack(outputs), [h]


def phased_truth(p: Parameters, x: Tensor, start: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """Neil, Pfeiffer and Liu 2016, section 2, in the paper's own tau, s and r_on."""
    (h, c), outputs = start, []
    tau = p["unit_period"].exp()
    s, r_on = p["unit_shift"] * tau, p["unit_open"].sigmoid()
    for x_t in x:
        phase = torch.remainder(x_t[:, -1:] - s, tau) / tau
        closed = torch.where(phase < r_on, 2 - 2 * phase / r_on, 0.001 * phase)
        k = torch.where(phase < r_on / 2, 2 * phase / r_on, closed)
        sums = x_t[:, :-1] @ p["weight_ih"].T + p["bias_ih"] + h @ p["weight_hh"].T + p["bias_hh"]
        i, f, g, o = sums.chunk(4, -1)
        i, f = torch.sigmoid(i + p["unit_input"] * c), torch.sigmoid(f + p["unit_forget"] * c)
        proposed = f * c + i * g.tanh()
        shown = torch.sigmoid(o + p["unit_output"] * proposed) * proposed.tanh()
        h, c = k * shown + (1 - k) * h, k * proposed + (1 - k) * c
        outputs.append(h)
    return torch.stack(outputs), [h, c]


def nested_step(x: Names, r: Names, s: Names, w: Names) -> dict[str, Operand]:
    """Products in odd places: of a product, twice of one matrix, of what is the same for all units; a mean of an input."""
    inner = w.one @ (w.two @ s.h * x.a) + w.one @ tanh(r.a)
    constant = w.two @ x.gap + w.one @ w.lean + w.two @ 0.5
    h = tanh(inner + mean(x.gap) * mean(w.two @ inner) - constant * x.share)
    return {"h": h, "seen": x.gap, "leaning": w.lean, "one": 1.0}  # type: ignore[dict-item]


NESTED = Cell(
    "nested", "Products in odd places", ("a",), ("h", "seen", "leaning", "one"), nested_step, ("lean",),
    matrices=("one", "two"), inputs=("gap", "share"),
)  # fmt: skip


def nested_truth(p: Parameters, x: Tensor, start: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
    h, outputs = start[0], []
    one, two, lean = p["weight_one"].T, p["weight_two"].T, p["unit_lean"]
    every = torch.ones_like(h)
    for x_t in x:
        gap, share = x_t[:, -2:-1], x_t[:, -1:]
        of_x, of_h = x_t[:, :-2] @ p["weight_ih"].T + p["bias_ih"], h @ p["weight_hh"].T + p["bias_hh"]
        inner = (h @ two * of_x) @ one + torch.tanh(of_h) @ one
        constant = gap * every @ two + lean @ one + 0.5 * every @ two
        h = torch.tanh(inner + gap * (inner @ two).mean(-1, keepdim=True) - constant * share)
        outputs.append(h)
    return torch.stack(outputs), [h, x[-1][:, -2:-1] * every, lean * every, every]


def gapped_step(x: Names, r: Names, s: Names, w: Names) -> dict[str, Operand]:
    """What is forgotten grows with the gap, at a rate of each unit: an input that bypasses the gates, and no matrix."""
    keep = sigmoid(x.keep + r.keep - w.rate * x.gap)
    return {"h": keep * s.h + (1.0 - keep) * tanh(x.candidate) * x.known}


GAPPED = Cell(
    "gapped", "A gate that sees the gap", ("keep", "candidate"), ("h",), gapped_step, ("rate",),
    inputs=("gap", "known"), input_only=("candidate",), initial_bias={"keep": 2.0, "candidate": 1.0},
)  # fmt: skip


def gapped_truth(p: Parameters, x: Tensor, start: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
    (h,), outputs = start, []
    for x_t in x:
        gap, known = x_t[:, -2:-1], x_t[:, -1:]
        keep_x, candidate = (x_t[:, :-2] @ p["weight_ih"].T + p["bias_ih"]).chunk(2, -1)
        keep = torch.sigmoid(keep_x + h @ p["weight_hh"].T + p["bias_hh"] - p["unit_rate"] * gap)
        h = keep * h + (1 - keep) * candidate.tanh() * known
        outputs.append(h)
    return torch.stack(outputs), [h]


DECLARED: dict[Cell, Truth] = {
    RESET_BEFORE: reset_before_truth,
    MULTIPLICATIVE: multiplicative_truth,
    CELLS["t_lstm"]: t_lstm_truth,
    CELLS["gru_d"]: gru_d_truth,
    CELLS["phased"]: phased_truth,
    NESTED: nested_truth,
    GAPPED: gapped_truth,
}
