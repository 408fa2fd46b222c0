"""The parts of the report: equations, glossary, numbers, colours, places of labels."""

import re
import warnings
from datetime import datetime, timedelta
from itertools import pairwise, product

import pytest
import torch
from matplotlib.figure import Figure

from gatework.cells import CELLS
from gatework.report.axis import x_axis
from gatework.report.draw_lines import spread
from gatework.report.equations import CELL_TEXTS, Equation, text_of, typeset
from gatework.report.figures import NARROW, WIDE, describe, draw
from gatework.report.glossary import TERMS, Glossary
from gatework.report.markup import Html, element, escape
from gatework.report.numbers import column_decimals, duration, fixed, short, steps
from gatework.report.palette import DARK, LIGHT, Looks
from gatework.report.training_figure import is_early_stopped
from gatework.runs import Line, LinesFigure, TrainingPlan
from report_runs import history_rows


def test_the_ending_of_a_training_is_told_right() -> None:
    plan = TrainingPlan(epochs=30, patience=6)
    assert is_early_stopped(history_rows(18, 12), plan)
    assert not is_early_stopped(history_rows(17, 12), plan)
    assert not is_early_stopped(history_rows(30, 12), plan)


def _evaluated(symbols: str, values: dict[str, torch.Tensor]) -> torch.Tensor:
    """The right side of an equation of the report, computed."""
    code = symbols.partition("=")[2].replace("⊙", "*").replace("−", "-").replace("{t-1}", "before")
    code = re.sub(r"([WU](?:_\w+)?) (\w+)", r"(\1 @ \2)", code).replace("σ(", "sigmoid(")
    return eval(code, {"sigmoid": torch.sigmoid, "tanh": torch.tanh}, values)


@pytest.mark.parametrize("name", sorted(CELL_TEXTS))
def test_the_equations_of_the_report_are_those_of_torch(name: str) -> None:
    generator = torch.Generator().manual_seed(5)
    size, input_size = 5, 3
    cell = {"lstm": torch.nn.LSTMCell, "gru": torch.nn.GRUCell, "rnn": torch.nn.RNNCell}[name](input_size, size).double()
    gates = {"lstm": "ifgo", "gru": "rzn", "rnn": [""]}[name]
    x, h, c = (torch.randn(n, generator=generator, dtype=torch.float64) for n in (input_size, size, size))
    values = {"x_t": x, "h_before": h, "c_before": c}
    for k, gate in enumerate(gates):
        rows, end = slice(k * size, (k + 1) * size), f"_{gate}" if gate else ""
        values[f"W{end}"], values[f"U{end}"] = cell.weight_ih[rows], cell.weight_hh[rows]
        is_split = gate == "n"
        values[f"b{end}"] = cell.bias_ih[rows] if is_split else cell.bias_ih[rows] + cell.bias_hh[rows]
        values[f"d{end}"] = cell.bias_hh[rows]
    for equation in CELL_TEXTS[name].equations:
        values[equation.symbols.split()[0]] = _evaluated(equation.symbols, values)
    expected = cell(x, (h, c)) if name == "lstm" else (cell(x, h),)
    torch.testing.assert_close(values["h_t"], expected[0], rtol=0, atol=1e-14)
    if name == "lstm":
        torch.testing.assert_close(values["c_t"], expected[1], rtol=0, atol=1e-14)


def test_plain_text_is_escaped_and_html_is_not() -> None:
    assert element("p", "<b>", Html("<i></i>"), title='"') == '<p title="&quot;">&lt;b&gt;<i></i></p>'
    assert escape(escape("&")) == "&amp;"


def test_a_term_is_linked_once_a_section_and_not_inside_words() -> None:
    glossary = Glossary()
    assert glossary.link("windows <of> window") == '<a class="term" href="#term-window">windows</a> &lt;of&gt; window'
    glossary.begin_section()
    assert "href" in glossary.link("window")
    assert glossary.link("lossless gateway") == "lossless gateway"
    assert [term for _, term, _ in glossary.entries()] == ["window"]


def test_no_meaning_of_a_term_is_empty_and_no_form_is_claimed_twice() -> None:
    forms = [form.casefold() for term, (others, _) in TERMS.items() for form in (term, *others)]
    assert len(forms) == len(set(forms))
    assert all(meaning.endswith(".") for _, meaning in TERMS.values())


def test_labels_are_spread_apart_and_keep_their_order() -> None:
    moved = spread([0.5, 0.52, 0.1, 0.51], 0.1)
    assert sorted(range(4), key=lambda i: moved[i]) == [2, 0, 3, 1]
    ordered = sorted(moved)
    assert min(later - earlier for earlier, later in pairwise(ordered)) >= 0.1 - 1e-9
    assert moved[2] == 0.1


def test_numbers_are_written_for_people() -> None:
    assert (fixed(-12345.678, 1), short(0.001234), short(37.91), short(0)) == ("\u221212\u202f345.7", "0.00123", "37.9", "0")
    assert column_decimals([37.9, 44.4, 0.0]) == 1
    assert column_decimals([0.973, 0.962]) == 3
    assert (duration(4.24), duration(130), duration(3725)) == ("4.2\u00a0s", "2\u00a0min", "1\u00a0h 2\u00a0min")
    assert (steps(24, 3600), steps(48, 3600), steps(30, 86400), steps(12, 900), steps(1, None)) == (
        "24 steps (24 hours)", "48 steps (48 hours)", "30 steps (30 days)", "12 steps (3 hours)", "1 step",
    )  # fmt: skip


def test_a_baseline_keeps_its_colour_and_dash_in_all_figures() -> None:
    looks = Looks()
    first = looks.lines((Line(name="ridge", y=(), style="baseline"), Line(name="naive", y=(), style="baseline")))
    second = looks.lines((Line(name="naive", y=(), style="baseline"), Line(name="lstm", y=())))
    assert second[0] == first[1]
    assert second[1].color == "blue"
    assert first[0].dash != first[1].dash


@pytest.mark.parametrize("colors", [LIGHT, DARK], ids=["light", "dark"])
def test_text_is_readable_against_the_paper(colors: dict[str, str]) -> None:
    # WCAG 2.2: at least 4.5 for text, 3 for the lines of a picture
    for name, least in (("ink", 7.0), ("muted", 4.5), ("blue", 4.5), ("vermillion", 3.0), ("green", 3.0), ("purple", 2.9)):
        assert _contrast(colors[name], colors["paper"]) >= least, name


def _contrast(one: str, other: str) -> float:
    def luminance(color: str) -> float:
        channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    bright, dim = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def test_no_span_of_time_makes_the_axis_warn() -> None:
    # whole ladders of intervals, from 20 s to 60 years, and spans between two units, such as 60 hours
    spans = [timedelta(seconds=round(20 * 1.35**k)) for k in range(61)] + [timedelta(hours=n) for n in range(1, 120, 7)]
    start = datetime(2021, 3, 14, 5, 40)
    for span, width in product(spans, (NARROW, WIDE)):
        axes = Figure(figsize=(width / 72, 3)).add_subplot()
        axis = x_axis(tuple((start + k * span / 4).isoformat(timespec="seconds") for k in range(5)))
        assert axis.kind == "times"
        axes.plot(axis.positions, range(5))
        axis.format(axes, width)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            low, high = axes.get_xlim()
            shown = [tick for tick in axes.xaxis.get_major_locator()() if low <= tick <= high]
        assert 2 <= len(shown) <= (8 if width == WIDE else 5), (span, width)


def test_a_cell_without_a_text_of_its_own_is_written_from_its_declaration() -> None:
    text = text_of(CELLS["peephole"])
    assert text.title == CELLS["peephole"].title
    assert text.equations[0] == Equation("forget_t = σ(x_{forget} + r_{forget} + w_{forget} ⊙ c_{t−1})", "gate")
    assert [equation.meaning for equation in text.equations if equation.symbols.startswith(("c_t", "h_t"))] == [
        "state: the memory",
        "output",
    ]
    assert typeset("w_{forget} ⊙ c_{t−1}") == ("<var>w</var><sub>forget</sub> ⊙ <var>c</var><sub><var>t</var>−1</sub>")
    assert text_of(CELLS["lstm"]) is CELL_TEXTS["lstm"]


def test_spans_are_shaded_behind_the_lines_and_told_to_those_who_do_not_see_them() -> None:
    plain = LinesFigure(
        name="f", title="t", caption="c.", x_label="step", y_label="y",
        x=tuple(float(step) for step in range(50)), lines=(Line(name="seen", y=tuple(range(50)), style="truth"),),
    )  # fmt: skip
    shaded = plain.model_copy(update={"spans": ((10.0, 20.0, "alarm"), (30.0, 30.0, "alarm"), (11.0, 19.0, "labelled"))})
    assert LIGHT["vermillion"] not in draw(plain, Looks(), WIDE)
    drawn = draw(shaded, Looks(), WIDE)
    assert drawn.count(LIGHT["vermillion"]) == 2 + 1  # two stretches and their place in the legend
    assert drawn.count(LIGHT["green"]) == 1 + 1
    assert "Shaded, alarm: 2 stretches. Shaded, labelled: 1 stretch." in describe(shaded)
    assert LinesFigure.model_validate_json(shaded.model_dump_json()) == shaded
