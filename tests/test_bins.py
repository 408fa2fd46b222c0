"""Numbers read by bins: what the columns hold, where they come from, and who refuses them."""

import numpy as np
import polars as pl
import pytest

import gatework
from gatework.data.bins import fill_bins, fit_edges
from gatework.data.encode_row import RowEncoder
from gatework.data.layout import build_table
from gatework.data.split import Split
from gatework.errors import ConfigError
from gatework.train import Request
from gatework.train.planning import plan_run
from small_runs import sites, trained
from tables import forecast_table, prepared_and_fit, with_field, with_steps


def test_the_bins_of_a_number_add_up_to_it() -> None:
    generator = np.random.default_rng(0)
    edges = fit_edges(generator.lognormal(size=5000))
    values = np.concatenate([generator.lognormal(size=500), [-3.0, 1e6]])
    filled = fill_bins(values, edges)
    assert filled.shape == (502, len(edges) - 1)
    assert (filled.min(), filled.max()) == (0, 1)
    np.testing.assert_allclose(edges[0] + filled @ np.diff(edges), np.clip(values, edges[0], edges[-1]), rtol=1e-12)


def test_edges_are_training_values_and_finer_at_the_ends() -> None:
    values = np.arange(10_000.0)
    edges = fit_edges(values)
    assert set(edges) <= set(values.tolist())
    assert (edges[0], edges[-1]) == (0, 9999)
    widths = np.diff(edges)
    assert max(widths[0], widths[-1]) * 100 < widths.max()
    assert fit_edges(np.array([2.0, 2.0, 3.0])) == ()


def test_from_both_ends_edges_stand_at_the_shares_of_the_rule() -> None:
    count = 20_011  # no share of it is a whole number of rows
    values = np.random.default_rng(3).lognormal(size=count)
    ten_thousandths = (1, 2, 5, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1000, 1500, 2500, 5000)
    rows_below = [count * share // 10_000 for share in ten_thousandths]
    rising, falling = sorted(values.tolist()), sorted(values.tolist(), reverse=True)
    expected = {ends[row] for ends in (rising, falling) for row in (0, *rows_below)}
    assert fit_edges(values) == tuple(sorted(expected))


def test_a_bound_that_one_row_in_a_thousand_passes_has_a_narrow_bin() -> None:
    values = np.random.default_rng(5).permutation(60_000).astype(float)  # a value is its rank
    edges = np.array(fit_edges(values))
    for passed in (40, 90, 300, 1000, 3000):
        for bound in (passed, 59_999 - passed):
            place = np.searchsorted(edges, bound)
            assert edges[place] - edges[place - 1] <= passed


def test_few_rows_have_no_edge_twice() -> None:
    values = np.random.default_rng(7).normal(size=33).round(1)
    edges = fit_edges(values)
    assert list(edges) == sorted(set(edges))
    assert (edges[0], edges[-1]) == (values.min(), values.max())


def test_steps_outside_training_change_no_edge() -> None:
    table = with_field(forecast_table([100]), "temp", bins=True)
    split, preparation, prepared = prepared_and_fit(table)
    field = next(field for field in preparation.record.fields if field.name == "temp")
    raw = table.steps["temp"].to_numpy()
    assert field.edges == fit_edges(raw[split.rows_of("train")])
    columns = [prepared.input_names.index(name) for name in field.names[1:]]
    np.testing.assert_allclose(prepared.inputs[:, columns], fill_bins(raw, field.edges), rtol=1e-6)
    moved = with_steps(table, pl.Series("temp", np.where(split.rows_of("train"), raw, raw + 1000)))
    assert prepared_and_fit(moved)[1].record == preparation.record


def test_a_stored_run_keeps_the_edges_that_it_was_trained_with(tmp_path, monkeypatch) -> None:
    data = sites(["a"], count=200)
    request = Request(target="load", time="when", series="site", horizon=6, window=12, hidden_size=6, epochs=1, bins=("temp",))
    monkeypatch.setattr("gatework.data.bins.SHARES", (0.0, 0.1, 0.6, 1.0))
    run = trained(data, request, tmp_path / "run")
    before = gatework.load(run).predict(data).frame
    monkeypatch.undo()
    after = gatework.load(run)
    (field,) = [field for field in after.trained.preparation.record.fields if field.name == "temp"]
    assert len(field.edges) == 4
    assert after.predict(data).frame.equals(before)


def test_a_row_alone_fills_the_bins_that_the_table_fills(tmp_path) -> None:
    data = sites(["a"], count=200, planned=6)
    request = Request(
        target="load", time="when", series="site", horizon=6, window=12, hidden_size=6, epochs=1, known_future=("price",),
        bins=("all",), batch_size=32,
    )  # fmt: skip
    trained_run = gatework.load(trained(data, request, tmp_path / "run")).trained
    table = build_table(data, trained_run.plan.data)
    prepared = trained_run.preparation.apply(table, Split.all_test(table))
    assert {name.partition(">")[0] for name in (*prepared.input_names, *prepared.future_names) if ">" in name} == {
        "temp",
        "price",
    }
    encoder = RowEncoder(trained_run.preparation.record, prepared.static[0])
    for number, row in enumerate(data.head(194).iter_rows(named=True)):
        np.testing.assert_allclose(encoder.encode_observed(row), prepared.inputs[number], rtol=2e-6, atol=1e-6)
        np.testing.assert_allclose(encoder.encode_known(row, row["when"]), prepared.future[number], rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "what"), [("load", "is no input \\(target\\)"), ("kind", "is categorical"), ("lod", "no column")]
)
def test_bins_of_what_is_no_number_are_refused(name: str, what: str) -> None:
    request = Request(target="load", time="when", series="site", bins=(name,))
    with pytest.raises(ConfigError, match=what):
        plan_run(sites(["a"], count=200), request)
