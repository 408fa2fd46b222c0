"""What suspicious data gets: leaks by name, lag and cure; series without a value; parts with one class; gaps with their dates."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from gatework.data.leaks import silent_series, suspected_leaks
from gatework.data.order import irregularity_notes
from gatework.data.split import make_split
from gatework.data.table import Field
from gatework.runs import SplitPlan
from small_runs import QUICK
from tables import forecast_table, sequence_table, with_column, with_steps

PAST = Field("copy", "numeric", "past")


def walks(seed: int = 0) -> np.ndarray:
    """Two slow series, 300 steps each: correlated with their own future far beyond 0.999."""
    return 100 + np.random.default_rng(seed).normal(0, 1, (2, 300)).cumsum(axis=1).cumsum(axis=1).ravel()


def slow_table(copy: np.ndarray) -> object:
    """Two series of `walks` as the target, and a column of one's own."""
    table = with_steps(forecast_table([300, 300]), pl.Series("load", walks()))
    return with_column(table, PAST, [None if np.isnan(value) else float(value) for value in copy])


def ahead(values: np.ndarray, steps: int) -> np.ndarray:
    """Each series shifted into the past, so that every row holds what comes so many steps later."""
    shifted = np.full((2, 300), np.nan)
    shifted[:, : 300 - steps] = values.reshape(2, 300)[:, steps:]
    return shifted.ravel()


@pytest.mark.parametrize("lag", [1, 5, 17])
def test_a_column_that_is_the_target_of_a_later_step_is_named_with_its_lag_and_cure(lag: int) -> None:
    (leak,) = suspected_leaks(slow_table(2 * ahead(walks(), lag) - 7), horizon=20)
    assert (leak.column, leak.target, leak.lag) == ("copy", "load", lag)
    assert leak.warning.endswith("If so, leave it out: --ignore copy.")
    assert f"{lag} step{'' if lag == 1 else 's'} ahead" in leak.warning


def test_a_column_that_is_the_target_itself_is_named_and_one_beyond_the_horizon_is_not() -> None:
    (leak,) = suspected_leaks(slow_table(walks() + 1e-6), horizon=4)
    assert (leak.lag, "is it the answer?" in leak.reason) == (0, True)
    assert suspected_leaks(slow_table(ahead(walks(), 17)), horizon=4) == ()


def test_a_slow_series_that_is_merely_late_or_close_is_no_leak() -> None:
    values = walks()
    late = np.concatenate([np.full(3, np.nan), values[:-3]])
    late[300:303] = np.nan
    noise = np.random.default_rng(1).normal(0, 3, 600)
    for copy in (late, ahead(values, 2) + 40 * noise):
        assert suspected_leaks(slow_table(copy), horizon=12) == ()


def test_a_training_warns_of_a_leak_and_of_series_without_a_value(tmp_path) -> None:
    from gatework.train import plan_run

    load = np.random.default_rng(0).normal(10, 1, 300)
    frame = pl.DataFrame(
        {
            "when": [datetime(2024, 1, 1) + timedelta(hours=hour) for hour in range(300)] * 2,
            "site": ["north"] * 300 + ["south"] * 300,
            "load": [*load, *[None] * 300],
            "soon": [*load[2:], 10.0, 10.0, *load],
            "temp": np.random.default_rng(1).normal(5, 1, 600),
        }
    )
    _, dataset = plan_run(frame, QUICK.model_copy(update={"series": "site"}))
    notes = " ".join(dataset.table.notes)
    assert "'soon' is the target 'load' 2 steps ahead" in notes
    assert "--ignore soon" in notes
    assert "1 series has no known value of load: south." in notes
    _, other = plan_run(frame, QUICK.model_copy(update={"series": "site", "ignore": ("soon",)}))
    assert "soon" not in " ".join(other.table.notes)


def test_series_with_a_single_value_are_not_silent() -> None:
    table = forecast_table([20, 20, 20])
    gone = (pl.col("site") != "s1") & ~((pl.col("site") == "s0") & (pl.int_range(pl.len()) > 0))
    table = with_steps(table, pl.when(gone).then(None).otherwise(pl.col("load")).alias("load"))
    assert silent_series(table) == (
        "1 series has no known value of load: s2. Nothing is learned from them, and they are not scored.",
    )
    assert silent_series(forecast_table([20, 20])) == ()


def test_a_part_with_one_class_is_said() -> None:
    labels = ["a", "b"] * 10 + ["a"] * 4
    parts = ["train"] * 16 + ["validation"] * 4 + ["test"] * 4
    table = sequence_table([3] * 24, labels, extra={"part": (Field("part", "categorical", "split"), parts)})
    notes = " ".join(make_split(table, SplitPlan(kind="column", column="part")).record.notes)
    assert "The test part has sequences of one class only, 'a' of 'label'" in notes
    assert "validation part" not in notes


def test_gaps_are_counted_and_the_first_and_the_longest_have_their_dates() -> None:
    start = datetime(2024, 3, 30)
    hours = [hour for hour in range(72) if hour not in (26, 40, 41, 60)]
    steps = pl.DataFrame({"s": ["all"] * len(hours), "t": [start + timedelta(hours=hour) for hour in hours]})
    (note,) = irregularity_notes(steps, "s", "t")
    assert "3 gaps, first 2024-03-31 01:00:00 to 2024-03-31 03:00:00" in note
    assert "the longest from 2024-03-31 15:00:00 to 2024-03-31 18:00:00" in note
    assert "no step is invented" in note
