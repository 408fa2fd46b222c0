"""Rows behind the end of the data, for which a forecast is wanted."""

from datetime import date, datetime, timedelta

import polars as pl
import pytest

from gatework.data.future import append_horizon, open_rows
from gatework.data.table import STEP, Field, Table
from gatework.errors import DataError
from tables import forecast_table, hourly, with_field, with_steps


def univariate(times: pl.Series, series: list[str] | None = None) -> Table:
    names = series or ["s0"] * len(times)
    time = times.name or "when"
    steps = pl.DataFrame({"site": names, time: times, "load": pl.Series([1.0] * len(times), dtype=pl.Float64)})
    fields = (Field("site", "categorical", "series"), Field(time, "timestamp", "time"), Field("load", "numeric", "target"))
    return Table(steps, pl.DataFrame({"site": sorted(set(names))}), fields, "site", time)


def appended(table: Table, horizon: int) -> list[object]:
    longer = append_horizon(table, horizon)
    return longer.steps.filter(pl.col("load").is_null())[table.time].to_list()


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (hourly(5), [datetime(2020, 1, 1, hour) for hour in (5, 6, 7)]),
        ([date(2020, 2, 27), date(2020, 2, 28)], [date(2020, 2, 29), date(2020, 3, 1), date(2020, 3, 2)]),
        ([date(2021, month, 1) for month in range(1, 12)], [date(2021, 12, 1), date(2022, 1, 1), date(2022, 2, 1)]),
        ([date(2021, 11, 30), date(2021, 12, 31), date(2022, 1, 31)], [date(2022, 2, 28), date(2022, 3, 31), date(2022, 4, 30)]),
        ([date(2021, month, 1) for month in (1, 4, 7, 10)], [date(2022, month, 1) for month in (1, 4, 7)]),
        ([date(year, 5, 1) for year in (2019, 2020, 2021)], [date(year, 5, 1) for year in (2022, 2023, 2024)]),
        ([date(2021, 1, 1) + timedelta(28 * i) for i in range(3)], [date(2021, 1, 1) + timedelta(28 * i) for i in (3, 4, 5)]),
        ([10, 12, 14], [16, 18, 20]),
        ([0.0, 0.5, 1.0], [1.5, 2.0, 2.5]),
    ],
)
def test_time_goes_on_with_the_step_of_the_data(times, expected):
    assert appended(univariate(pl.Series("when", times)), 3) == expected


def test_local_midnight_stays_midnight_when_the_clock_changes():
    days = pl.datetime_range(datetime(2020, 10, 20), datetime(2020, 10, 24), "1d", time_zone="Europe/Berlin", eager=True)
    stamps = appended(univariate(days.alias("when")), 3)
    assert [(stamp.day, stamp.hour, stamp.utcoffset()) for stamp in stamps] == [
        (25, 0, timedelta(hours=2)),
        (26, 0, timedelta(hours=1)),
        (27, 0, timedelta(hours=1)),
    ]


def test_each_series_goes_on_from_its_own_end_and_its_own_step():
    times = pl.Series("when", [0, 1, 2, 10, 15, 20])
    longer = append_horizon(univariate(times, ["a"] * 3 + ["b"] * 3), 2).steps
    assert longer["site"].to_list() == ["a"] * 5 + ["b"] * 5
    assert longer["when"].to_list() == [0, 1, 2, 3, 4, 10, 15, 20, 25, 30]


def test_a_step_count_goes_on_counting_and_empty_series_stay_empty():
    table = univariate(pl.Series(STEP, [0, 1, 2]))
    table = Table(table.steps, pl.DataFrame({"site": ["empty", "s0"]}), table.fields, "site", STEP)
    assert append_horizon(table, 2).steps[STEP].to_list() == [0, 1, 2, 3, 4]


def test_a_single_row_takes_the_step_of_the_other_series():
    times = pl.Series("when", [0, 2, 4, 100])
    longer = append_horizon(univariate(times, ["a"] * 3 + ["b"]), 2).steps
    assert longer["when"].to_list() == [0, 2, 4, 6, 8, 100, 102, 104]
    with pytest.raises(DataError, match=r"has 1 row.*no step length.*at least two rows"):
        append_horizon(univariate(pl.Series("when", [3])), 2)


def nulled(table: Table, columns: list[str], last: int) -> Table:
    keep = pl.int_range(pl.len()) < table.steps.height - last
    return with_steps(table, *(pl.when(keep).then(pl.col(name)).alias(name) for name in columns))


def test_rows_that_are_given_are_used_before_any_is_made():
    table = nulled(forecast_table([10]), ["load", "temp"], last=3)
    assert open_rows(table).tolist() == [False] * 7 + [True] * 3
    longer = append_horizon(table, 3)
    assert longer.steps.equals(table.steps)
    shorter = append_horizon(table, 2)
    assert shorter.steps.equals(table.steps.head(9))


def test_rows_with_an_observed_covariate_have_happened():
    table = nulled(forecast_table([10]), ["load"], last=3)
    assert not open_rows(table).any()


def test_future_rows_may_come_as_a_frame_of_their_own():
    table = forecast_table([10, 10])
    times = hourly(12)[10:]
    more = pl.DataFrame({"site": ["s0", "s0", "s1", "s1"], "when": [*times, *times], "price": [1.0, 2.0, 3.0, 4.0]})
    longer = append_horizon(table, 2, more)
    assert open_rows(longer).sum() == 4
    assert longer.steps["price"][10:12].to_list() == [1.0, 2.0]
    assert longer.steps["price"][22:].to_list() == [3.0, 4.0]
    with pytest.raises(DataError, match=r"'when' is missing.*Add the column"):
        append_horizon(table, 2, more.drop("when"))


def test_missing_known_future_values_are_said_in_three_parts():
    with pytest.raises(DataError, match=r"'s0' has 0 rows after.*needs 'price' for the next 4 steps \(2 series.*Append rows"):
        append_horizon(forecast_table([10, 10]), 4)
    table = nulled(nulled(forecast_table([10]), ["load", "temp"], last=3), ["price"], last=1)
    with pytest.raises(DataError, match=r"'price' has no value at 2020-01-01T09.*known in the future.*Fill in"):
        append_horizon(table, 3)
    assert append_horizon(table, 2).steps.height == 9


def test_a_covariate_of_the_past_only_asks_for_nothing():
    table = with_field(forecast_table([10]), "price", role="past")
    longer = append_horizon(table, 4)
    assert longer.steps["price"].null_count() == 4
    assert open_rows(longer).sum() == 4
