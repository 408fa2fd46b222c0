"""Rows that come in one by one: every number is that of the whole table read at once."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

import gatework
from gatework.data.encode_row import RowEncoder
from gatework.data.layout import build_table
from gatework.data.split import Split
from gatework.errors import ConfigError, DataError
from gatework.train import Request
from small_runs import sites, trained, waves

QUICK = Request(target=("temp", "load"), time="when", horizon=5, window=12, hidden_size=6, epochs=1, batch_size=32)


def gappy(count: int = 260) -> pl.DataFrame:
    frame = waves(count)
    hole = pl.int_range(count) % 17 == 3
    kind = pl.Series("kind", ["a" if step % 5 else "b" for step in range(count)])
    return frame.with_columns(pl.when(~hole).then(pl.col("load")).alias("load"), kind, is_open=pl.int_range(count) % 24 < 8)


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    return gatework.load(trained(gappy(), QUICK, tmp_path_factory.mktemp("live") / "run"))


def test_a_row_becomes_the_numbers_of_the_table(predictor):
    plan, preparation = predictor.trained.plan, predictor.trained.preparation
    table = build_table(gappy(), plan.data)
    prepared = preparation.apply(table, Split.all_test(table))
    encoder = RowEncoder(preparation.record, prepared.static[0])
    for number, row in enumerate(gappy().iter_rows(named=True)):
        np.testing.assert_allclose(encoder.encode_observed(row), prepared.inputs[number], rtol=2e-6, atol=1e-6)
        np.testing.assert_allclose(encoder.encode_known(row, row["when"]), prepared.future[number], rtol=2e-6, atol=1e-6)


def test_a_carried_state_gives_the_forecast_of_the_whole_window(predictor):
    """The state begins with the history, so a history of one window and all that follows gives what predict gives for it."""
    data = gappy()
    live = predictor.live(data.head(12))
    assert live.carries_state
    for number in range(12, 30):
        live.update(data.row(number, named=True))
        if number == 12:  # the network of `predict` reads 12 steps; this one has read 13
            continue
    network = predictor.trained.network
    longer = forecast_from(predictor, data.head(30), window=30)
    np.testing.assert_allclose(live.forecast(), longer, rtol=1e-4, atol=1e-5)
    first = predictor.live(data.head(12)).forecast()
    expected = predictor.predict(data.head(12)).frame["prediction"].to_numpy().reshape(5, 2)
    np.testing.assert_allclose(first, expected, rtol=1e-5, atol=1e-6)
    assert not network.training


def test_a_gap_right_after_the_history_is_filled_from_it(predictor):
    data = gappy()
    assert data["load"][20] is None  # the first row that comes
    live = predictor.live(data.head(20))
    live.update(data.row(20, named=True))
    np.testing.assert_allclose(live.forecast(), predictor.live(data.head(21)).forecast(), rtol=1e-5, atol=1e-6)


def test_only_the_end_of_a_history_may_be_read_and_the_rest_fills_its_gaps(predictor):
    data = gappy()
    assert data["load"][20] is None  # the first row of the last window
    short = predictor.live(data.head(32), steps=12)
    np.testing.assert_allclose(
        short.forecast(), predictor.predict(data.head(32)).frame["prediction"].to_numpy().reshape(5, 2), rtol=1e-5, atol=1e-6
    )
    assert (short.forecast() != predictor.live(data.head(32)).forecast()).any()


@pytest.mark.parametrize("options", [{}, {"normalise": "last"}], ids=str)
def test_a_saved_state_goes_on_as_the_first_one_does(options, tmp_path):
    data = gappy()
    predictor = gatework.load(trained(data, QUICK.model_copy(update=options), tmp_path / "run"))
    live, other = predictor.live(data.head(30)), predictor.live(data.tail(40))
    for number in range(30, 38):
        live.update(data.row(number, named=True))
    saved = live.state()
    forecast = live.forecast()
    live.update(data.row(38, named=True))
    other.restore(saved)
    np.testing.assert_array_equal(other.forecast(), forecast)
    other.update(data.row(38, named=True))
    np.testing.assert_array_equal(other.forecast(), live.forecast())
    assert other.time == live.time


def forecast_from(predictor, data: pl.DataFrame, window: int) -> np.ndarray:
    """The forecast from the end of the data, from a window of another length."""
    plan = predictor.trained.plan
    other = gatework.load(predictor.folder)
    longer = plan.model_copy(update={"window": window})
    other.trained = type(other.trained)(longer, other.trained.task, other.trained.preparation, other.trained.network)
    return other.predict(data).frame["prediction"].to_numpy().reshape(plan.horizon, -1)


@pytest.mark.parametrize(
    "options", [{"normalise": "last"}, {"segment": 4}, {"channels": "apart"}, {"decoder": "recursive"}], ids=str
)
def test_networks_that_read_the_window_again_give_what_predict_gives(options, tmp_path):
    data = gappy()
    predictor = gatework.load(trained(data, QUICK.model_copy(update=options), tmp_path / "run"))
    live = predictor.live(data.head(40))
    assert not live.carries_state
    for number in range(40, 60):
        live.update(data.row(number, named=True))
    expected = predictor.predict(data.head(60)).frame["prediction"].to_numpy().reshape(5, 2)
    np.testing.assert_allclose(live.forecast(), expected, rtol=1e-5, atol=1e-6)


def test_what_is_planned_is_asked_for_and_used(tmp_path):
    data = sites(["a"], count=200, planned=6)
    request = Request(
        target="load", time="when", series="site", horizon=6, window=12, hidden_size=6, epochs=1, known_future=("price",),
        batch_size=32,
    )  # fmt: skip
    predictor = gatework.load(trained(data, request, tmp_path / "run"))
    live = predictor.live(data.head(150))
    for number in range(150, 160):
        live.update(data.row(number, named=True))
    planned = data.slice(160, 6).to_dicts()
    hidden = data.head(166).with_columns(
        pl.when(pl.int_range(166) < 160).then(pl.col(name)).alias(name) for name in ("load", "temp", "kind")
    )
    carried = predictor.live(data.head(160)).forecast(planned)
    np.testing.assert_allclose(live.forecast(planned), carried, rtol=1e-5, atol=1e-6)
    again = forecast_from(predictor, hidden, window=160)
    np.testing.assert_allclose(carried, again[:, :1], rtol=1e-4, atol=1e-5)
    with pytest.raises(DataError, match="needs price for each of its 6 steps"):
        live.forecast(planned[:2])


def test_the_time_stamp_of_a_row_counts(predictor):
    """A row after a gap has the hour that it says, as when time is given apart."""
    data = gappy()
    row, later = data.row(40, named=True), data.row(40, named=True)["when"] + timedelta(hours=7)
    apart, within, printed = (predictor.live(data.head(40)) for _ in range(3))
    apart.update({**row, "when": None}, time=later)
    within.update({**row, "when": later})
    printed.update({**row, "when": str(later)})
    assert within.time == printed.time == apart.time == later
    np.testing.assert_array_equal(within.forecast(), apart.forecast())
    with pytest.raises(DataError, match="Give the rows in their order"):
        within.update(data.row(3, named=True))
    with pytest.raises(DataError, match="'noon' as its time"):
        within.update({**row, "when": "noon"})
    with pytest.raises(DataError, match="given as DataFrame; expected column → value"):
        within.update(data[41:43])


def test_a_refused_row_leaves_the_clock_where_it_was(predictor):
    data = gappy()
    live = predictor.live(data.head(40))
    before = live.time
    with pytest.raises(DataError, match="'warm' in the row"):
        live.update({"load": 1.0, "kind": "a", "is_open": True, "temp": "warm"})
    assert live.time == before


@pytest.mark.parametrize("wrong", ["load", "temp", "is_open"])
def test_nothing_of_a_refused_row_fills_a_later_gap(wrong, predictor):
    data = gappy()
    spared, other = predictor.live(data.head(40)), predictor.live(data.head(40))
    row = {"load": 900.0, "kind": "b", "is_open": True, "temp": 900.0}
    with pytest.raises(DataError):
        other.update({name: value for name, value in row.items() if name != wrong})
    gap = dict.fromkeys(row)
    for live in (spared, other):
        live.update(gap)
    assert other.state().last == spared.state().last
    np.testing.assert_array_equal(other.forecast(), spared.forecast())


def test_bad_rows_are_refused(predictor):
    data = gappy()
    live = predictor.live(data.head(40))
    row = data.row(40, named=True)
    with pytest.raises(DataError, match="'temp' is not among them"):
        live.update({name: value for name, value in row.items() if name != "temp"})
    with pytest.raises(DataError, match="'warm' in the row"):
        live.update({**row, "temp": "warm"})
    with pytest.raises(DataError, match="Give the rows in their order"):
        live.update(row, time=live.time - timedelta(hours=5))
    with pytest.raises(DataError, match="The history has 5 steps"):
        predictor.live(data.head(5))
    with pytest.raises(ConfigError, match="different distances apart"):
        predictor.live(data.head(40).filter(pl.int_range(40) != 35))
