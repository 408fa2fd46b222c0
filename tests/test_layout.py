"""The table: every layout of the same data gives the same table; what the plan does not allow is refused with its place."""

import contextlib
import csv
import datetime
import lzma
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatework.data.layout import build_table
from gatework.data.look import describe
from gatework.data.read import read_frame
from gatework.data.recognise import Wishes, recognise
from gatework.data.table import SERIES, STEP, Table
from gatework.errors import GateworkError
from gatework.runs import DataPlan, FieldPlan
from refusals import refusal

HOURS = [datetime.datetime(2024, 3, 1) + datetime.timedelta(hours=i) for i in range(6)]


def plan_of(frame: pl.DataFrame, *targets: str, labels: pl.DataFrame | None = None, **wishes: object) -> DataPlan:
    return recognise(frame, Wishes(targets=targets, **wishes), labels).plan  # type: ignore[arg-type]


def table_of(frame: pl.DataFrame, *targets: str, labels: pl.DataFrame | None = None, **wishes: object) -> Table:
    return build_table(frame, plan_of(frame, *targets, labels=labels, **wishes), labels)


def two_sites() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "site": ["a"] * 6 + ["b"] * 6,
            "time": HOURS * 2,
            "load": np.arange(12.0) ** 2,
            "wind": ["N", "S"] * 6,
            "area": [1.5] * 6 + [2.5] * 6,
            "grade": ["low"] * 6 + ["high"] * 6,
        }
    )


# ---- One table -----------------------------------------------------------------------------------------------------------


def test_steps_and_sequences_divide_the_columns() -> None:
    table = table_of(two_sites(), "load")
    assert table.steps.columns == ["site", "time", "load", "wind"]
    assert table.sequences.to_dict(as_series=False) == {"site": ["a", "b"], "area": [1.5, 2.5], "grade": ["low", "high"]}
    assert table.is_forecast
    assert (table.series, table.time, table.notes) == ("site", "time", ())


def test_answers_of_whole_series_stand_with_the_sequences() -> None:
    table = table_of(two_sites(), "grade")
    assert "grade" not in table.steps.columns
    assert table.sequences["grade"].to_list() == ["low", "high"]
    assert not table.is_forecast


@given(st.permutations(range(12)))
def test_the_order_of_the_rows_does_not_matter(order: list[int]) -> None:
    plan = plan_of(two_sites(), "load")
    assert build_table(two_sites()[order], plan).steps.equals(build_table(two_sites(), plan).steps)


def test_unsorted_time_is_sorted_and_said_but_interleaved_series_are_not_unsorted() -> None:
    plan = plan_of(two_sites(), "load")
    assert "were sorted" in build_table(two_sites().reverse(), plan).notes[0]
    assert build_table(two_sites().sort("time"), plan).notes == ()


def test_three_layouts_of_the_same_data_give_the_same_steps() -> None:
    frame = two_sites().select("site", "time", "load", "area")
    steps = table_of(frame, "load").steps
    long = frame.unpivot(["load", "area"], index=["site", "time"])
    assert table_of(long, "load", static=("area",)).steps.equals(steps)
    wide = frame.with_columns(t=pl.int_range(6).over("site").cast(pl.String)).pivot("t", index=["site", "area"], values="load")
    from_wide = table_of(wide, "value", layout="sequences")
    assert from_wide.steps["value"].to_list() == steps["load"].to_list()
    assert from_wide.steps[STEP].to_list() == [*range(6), *range(6)]
    assert from_wide.sequences["area"].to_list() == [1.5, 2.5]


def test_nulls_at_the_end_of_a_row_end_its_sequence_and_inner_ones_are_gaps() -> None:
    frame = pl.DataFrame({"t0": [1.0, 4, 7], "t1": [2.0, None, None], "t2": [3.0, 6, None], "y": [0.5, 1.5, 2.5]})
    table = table_of(frame, "y", layout="sequences")
    assert table.steps["value"].to_list() == [1, 2, 3, 4, None, 6, 7]
    assert table.sequences["y"].to_list() == [0.5, 1.5, 2.5]


def test_several_channels_side_by_side_stay_apart() -> None:
    frame = pl.DataFrame({f"{c}_{i}": [float(10 * k + i), float(100 * k + i)] for k, c in enumerate("xz", 1) for i in range(4)})
    table = table_of(frame.with_columns(y=pl.Series([1.5, 2.5])), "y", layout="sequences")
    assert table.steps["x"].to_list() == [10, 11, 12, 13, 100, 101, 102, 103]
    assert table.steps["z"].to_list() == [20, 21, 22, 23, 200, 201, 202, 203]


def test_data_without_series_or_time_gets_both() -> None:
    table = table_of(pl.DataFrame({"x": [1.5, 2, 4], "y": [3, 1, 2]}), "x")
    assert table.steps[SERIES].n_unique() == 1
    assert table.steps[STEP].to_list() == [0, 1, 2]
    assert [(field.name, field.role) for field in table.fields][:2] == [(SERIES, "series"), (STEP, "time")]


def test_spread_time_equals_the_written_time() -> None:
    stamps = pl.Series("time", [datetime.datetime(2023, 12, 31, 20) + datetime.timedelta(minutes=30 * i) for i in range(12)])
    parts = pl.DataFrame(
        {
            "year": stamps.dt.year(),
            "month": stamps.dt.month(),
            "day": stamps.dt.day(),
            "hour": stamps.dt.hour(),
            "minute": stamps.dt.minute(),
        }
    )
    table = table_of(parts.with_columns(x=pl.Series(np.arange(12.0) % 5)), "x")
    assert table.steps["time"].to_list() == stamps.to_list()
    clock = pl.DataFrame({"date": stamps.dt.strftime("%d.%m.%Y"), "clock": stamps.dt.strftime("%H:%M"), "x": np.arange(12.0) % 5})
    assert table_of(clock, "x").steps["time"].to_list() == stamps.to_list()


@pytest.mark.parametrize(("offset", "zone"), [("Z", "UTC"), ("+02:00", "Etc/GMT-2"), ("-0500", "Etc/GMT+5"), ("+05:30", "UTC")])
def test_offsets_in_text_keep_the_moment_and_a_whole_hour_zone(offset: str, zone: str) -> None:
    texts = [f"2024-05-01T{hour:02}:00:00{offset}" for hour in (10, 11, 12)]
    times = table_of(pl.DataFrame({"when": texts, "x": [1.5, 2, 4]}), "x").steps["when"]
    assert times.dtype.time_zone == zone  # type: ignore[attr-defined]
    moments = [datetime.datetime.fromisoformat(text).timestamp() for text in texts]
    assert times.dt.epoch("s").to_list() == moments


def test_the_zone_of_a_frame_is_kept() -> None:
    times = pl.datetime_range(
        datetime.datetime(2024, 3, 30), datetime.datetime(2024, 4, 1), "1h", time_zone="Europe/Berlin", eager=True
    )
    table = table_of(pl.DataFrame({"when": times, "x": np.arange(len(times)) % 7}), "x")
    assert table.steps["when"].equals(times.rename("when"))
    assert table.notes == ()  # the hour that the clocks skip is no gap


def test_epochs_become_times() -> None:
    table = table_of(pl.DataFrame({"ts": [1_700_000_000_500, 1_700_000_001_500, 1_700_000_002_500], "x": [1.5, 2.0, 4.5]}), "x")
    assert table.steps["ts"].dt.epoch("ms").to_list() == [1_700_000_000_500, 1_700_000_001_500, 1_700_000_002_500]


def test_types_are_those_of_the_plan() -> None:
    frame = pl.DataFrame(
        {
            "t": range(4),
            "x": ["1", "2.5", None, "4"],
            "flag": ["yes", "no", None, "yes"],
            "code": [1.0, 2.0, None, 1.0],
            "y": [1, 2, 3, 5],
        }
    )
    table = table_of(frame, "y", kinds={"x": "numeric", "flag": "boolean", "code": "categorical"})
    assert table.steps["x"].to_list() == [1, 2.5, None, 4]
    assert table.steps["flag"].to_list() == [True, False, None, True]
    assert table.steps["code"].to_list() == ["1", "2", None, "1"]
    assert table.steps["y"].dtype == pl.Float64


def test_nan_is_a_gap() -> None:
    assert table_of(pl.DataFrame({"t": [0, 1, 2], "x": [1.0, float("nan"), 3.0]}), "x").steps["x"].to_list() == [1.0, None, 3.0]


def test_gaps_are_counted_and_the_longest_named() -> None:
    hours = [0, 1, 2, 3, 9, 10, 11, 40, 41]
    times = [datetime.datetime(2024, 1, 1) + datetime.timedelta(hours=hour) for hour in hours]
    table = table_of(pl.DataFrame({"when": times, "x": np.arange(9) % 4}), "x")
    assert "usually 1 hour, but 2 of 8 are longer" in table.notes[0]
    assert "2 gaps, first 2024-01-01 03:00:00 to 2024-01-01 09:00:00" in table.notes[0]
    longest = table.notes[0].partition("the longest from ")[2]
    assert longest.index("2024-01-01 11:00:00 to 2024-01-02 16:00:00") < longest.index("2024-01-01 03:00:00")


# ---- Labels --------------------------------------------------------------------------------------------------------------


def test_labels_are_joined_and_ids_of_one_side_counted() -> None:
    events = pl.DataFrame({"id": [1, 1, 2, 2, 9], "t": [0, 1, 0, 1, 0], "x": [0.1, 0.2, 0.3, 0.4, 0.5]})
    labels = pl.DataFrame({"id": [2, 1, 5], "died": ["no", "yes", "yes"], "age": [20.0, 10.0, 50.0]})
    table = table_of(events, "died", labels=labels)
    assert table.sequences.to_dict(as_series=False) == {"id": [1, 2, 5], "died": ["yes", "no", "yes"], "age": [10.0, 20.0, 50.0]}
    assert table.steps["id"].to_list() == [1, 1, 2, 2]
    assert any("1 series have no row in the labels" in note and "'9'" in note for note in table.notes)
    assert any("1 ids" in note and "'5'" in note and "length zero" in note for note in table.notes)
    plan = plan_of(events, "died", labels=labels)
    unlabelled = build_table(events, plan, labels, targets_required=False)
    assert unlabelled.sequences.filter(pl.col("id") == 9)["died"].to_list() == [None]


def test_labels_whose_ids_have_another_type_still_match() -> None:
    events = pl.DataFrame({"id": ["1", "1", "2", "2"], "t": [0, 1, 0, 1], "x": [0.1, 0.2, 0.3, 0.4]})
    labels = pl.DataFrame({"id": [2, 1], "died": ["no", "yes"]})
    assert table_of(events, "died", labels=labels).sequences.rows() == [("1", "yes"), ("2", "no")]


def test_an_id_twice_in_the_labels_is_refused() -> None:
    events = pl.DataFrame({"id": [1, 1, 2, 2], "t": [0, 1, 0, 1], "x": [0.1, 0.2, 0.3, 0.4]})
    labels = pl.DataFrame({"id": [1, 2], "died": ["no", "yes"]})
    plan = plan_of(events, "died", labels=labels)
    assert "id '2' 2 times" in refusal(lambda: build_table(events, plan, pl.concat([labels, labels.tail(1)])))
    assert "no id 'id'" in refusal(lambda: build_table(events, plan, labels.rename({"id": "who"})))


# ---- Refusals ------------------------------------------------------------------------------------------------------------


def test_text_among_numbers_shows_row_and_value() -> None:
    frame = pl.DataFrame({"t": range(10), "x": [*map(str, range(7)), "n.a.", "8", "9"], "y": np.arange(10.0)})
    message = refusal(lambda: table_of(frame, "y"))
    assert "'x' has 'n.a.' in row 8" in message
    assert "--kind x=categorical" in message


def test_infinite_values_show_their_row() -> None:
    frame = pl.DataFrame({"t": [0, 1, 2], "x": [1.0, float("inf"), 2.0]})
    assert "'x' is infinite in row 2" in refusal(lambda: table_of(frame, "x"))


def test_a_time_stamp_twice_in_a_series_names_series_time_and_rows() -> None:
    frame = two_sites().with_columns(time=pl.Series([*HOURS, *HOURS[:5], HOURS[1]]))
    message = refusal(lambda: build_table(frame, plan_of(two_sites(), "load")))
    assert "Series 'b' has 2 rows at time = 2024-03-01 01:00:00: rows 8, 12" in message


def test_a_static_attribute_that_varies_names_the_series() -> None:
    frame = two_sites().with_columns(area=pl.Series([1.5] * 11 + [9.0]))
    message = refusal(lambda: build_table(frame, plan_of(two_sites(), "load")))
    assert "'area' has 2 different values in series 'b'" in message


def test_an_answer_that_varies_within_a_series_is_refused() -> None:
    frame = two_sites().with_columns(grade=pl.Series(["low", "high"] * 6))
    assert "'grade' has 2 different values in series 'a'" in refusal(lambda: build_table(frame, plan_of(two_sites(), "grade")))


@pytest.mark.parametrize(("value", "said"), [(3.0, "always 3.0"), (None, "no value")])
def test_a_constant_target_is_refused(value: float | None, said: str) -> None:
    frame = two_sites().with_columns(load=pl.lit(value, pl.Float64))
    assert said in refusal(lambda: build_table(frame, plan_of(two_sites(), "load")))


def test_one_row_is_refused_for_training_and_allowed_for_prediction() -> None:
    plan = plan_of(two_sites(), "grade")
    assert "1 row" in refusal(lambda: build_table(two_sites().head(1), plan))
    assert build_table(two_sites().head(1), plan, targets_required=False).steps.height == 1


def test_prediction_data_may_lack_answers_but_no_inputs() -> None:
    plan = plan_of(two_sites(), "grade")
    table = build_table(two_sites().drop("grade"), plan, targets_required=False)
    assert table.sequences["grade"].to_list() == [None, None]
    assert "no column 'wind'" in refusal(lambda: build_table(two_sites().drop("wind"), plan, targets_required=False))
    assert "no column 'grade'" in refusal(lambda: build_table(two_sites().drop("grade"), plan))
    assert "Did you mean 'widn'" in refusal(lambda: build_table(two_sites().rename({"wind": "widn"}), plan))


def test_columns_that_the_plan_does_not_know_are_ignored_and_said() -> None:
    table = build_table(two_sites().with_columns(new=pl.lit(1)), plan_of(two_sites(), "load"))
    assert "new" not in table.steps.columns
    assert "'new'" in table.notes[0]


def test_new_data_of_another_type_shows_row_and_value() -> None:
    plan = plan_of(two_sites(), "load")
    text = two_sites().with_columns(load=pl.Series(["1"] * 4 + ["much"] + ["2"] * 7))
    assert "'load' has 'much' in row 5" in refusal(lambda: build_table(text, plan))
    times = (
        two_sites()
        .with_columns(time=pl.Series([str(hour) for hour in HOURS] * 2))
        .with_columns(time=pl.when(pl.int_range(12) == 2).then(pl.lit("soon")).otherwise("time"))
    )
    assert "'time' has 'soon' in row 3" in refusal(lambda: build_table(times, plan))
    assert "holds numbers" in refusal(lambda: build_table(two_sites().with_columns(time=pl.int_range(12)), plan))
    flags = DataPlan(
        task="forecast",
        targets=("x",),
        fields=(FieldPlan(name="x", kind="numeric", role="target"), FieldPlan(name="f", kind="boolean", role="past")),
    )
    assert "'f' has 'maybe' in row 2" in refusal(lambda: build_table(pl.DataFrame({"x": [1, 2], "f": ["yes", "maybe"]}), flags))


def test_rows_without_id_or_time_are_refused() -> None:
    plan = plan_of(two_sites(), "load")
    no_id = two_sites().with_columns(site=pl.when(pl.int_range(12) == 4).then(None).otherwise("site"))
    no_time = two_sites().with_columns(time=pl.when(pl.int_range(12) == 4).then(None).otherwise("time"))
    assert "first in row 5" in refusal(lambda: build_table(no_id, plan))
    assert "first in row 5" in refusal(lambda: build_table(no_time, plan))
    no_such_day = pl.DataFrame({"year": [2024, 2024], "month": [2, 2], "day": [29, 30], "x": [1.5, 2]})
    assert "day = 30" in refusal(lambda: table_of(no_such_day, "x"))


def test_the_long_form_refuses_two_values_at_once_and_allows_a_variable_that_nobody_measured() -> None:
    long = (
        two_sites()
        .select("site", "time", "load", pl.col("load").sqrt().alias("root"))
        .unpivot(["load", "root"], index=["site", "time"])
    )
    plan = plan_of(long, "load")
    assert "'load' has more than one value at site a" in refusal(lambda: build_table(pl.concat([long, long.head(1)]), plan))
    table = build_table(long.filter(pl.col("variable") == "load"), plan)
    assert table.steps["root"].null_count() == 12
    assert any("No row has the variables 'root'" in note for note in table.notes)


def test_text_in_a_step_of_a_wide_row_shows_row_and_column() -> None:
    frame = pl.DataFrame({f"t{i}": [1.0 * i, 2, 3] for i in range(9)} | {"y": [1.5, 2, 3]})
    plan = plan_of(frame, "y")
    bad = frame.with_columns(t4=pl.Series(["1", "oops", "2"]))
    assert "'t4' has 'oops' in row 2" in refusal(lambda: build_table(bad, plan))
    assert "numbered columns" in refusal(lambda: build_table(frame.select("y"), plan))


CELLS = ["1", "2.5", "NA", "", "x", "yes", "2024-01-01", "01/02/2024", "inf", "1e400", "0012", "1,5", "é", "10:30", "9" * 20]
NAMES = ["time", "date", "id", "load", "No", "year", "month", "hour", "value", "variable", "part", "t0", "t1", "t2", "1", "2"]


@given(
    st.lists(st.sampled_from(NAMES), min_size=1, max_size=6, unique=True),
    st.lists(st.lists(st.sampled_from(CELLS), min_size=6, max_size=6), max_size=8),
    st.sampled_from([None, "steps", "sequences", "long"]),
    st.integers(0, 5),
)
def test_whatever_stands_in_a_file_only_our_own_errors_come_out(
    names: list[str], rows: list[list[str]], layout: str | None, target: int
) -> None:
    text = "\n".join(";".join(row[: len(names)]) for row in [names, *rows])
    with contextlib.suppress(GateworkError), tempfile.NamedTemporaryFile(suffix=".csv") as file:
        Path(file.name).write_text(text + "\n", encoding="utf-8")
        frame = read_frame(file.name)
        plan = plan_of(frame, frame.columns[target % frame.width], layout=layout)
        describe(build_table(frame, plan), plan)


# ---- Looking, real data, speed -------------------------------------------------------------------------------------------


def test_a_look_tells_the_facts_of_each_column() -> None:
    look = describe(table_of(two_sites(), "load"), plan_of(two_sites(), "load"))
    facts = {column.name: column for column in look.columns}
    assert (facts["load"].low, facts["load"].middle, facts["load"].high) == ("0", "30.5", "121")
    assert set(facts["wind"].categories) == {"N", "S"}
    assert (look.series.count, look.series.shortest, look.series.longest) == (2, 6, 6)
    assert (look.time.step, look.time.num_gaps) == ("1 hour", 0)
    assert look.leaks == ()


def test_a_look_names_columns_that_hold_the_answer() -> None:
    x = np.random.default_rng(0).normal(size=300).cumsum()
    frame = pl.DataFrame(
        {"t": range(300), "load": x, "double": 2 * x + 1, "tomorrow": np.append(x[24:], np.zeros(24)), "fair": x[::-1].copy()}
    )
    frame = frame.with_columns(tomorrow=pl.when(pl.int_range(300) < 276).then("tomorrow"), next=pl.col("load").shift(-1))
    leaks = {leak.column: leak.reason for leak in describe(table_of(frame, "load"), plan_of(frame, "load")).leaks}
    assert set(leaks) == {"double", "tomorrow", "next"}
    assert "24 steps ahead" in leaks["tomorrow"]
    assert "1 step ahead" in leaks["next"]


def test_beijing_from_file_to_table_matches_a_reading_by_hand(data_folder: Path) -> None:
    with lzma.open(data_folder / "beijing_pm25" / "pollution.csv.xz", "rt", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    table = table_of(read_frame("bundled:beijing-air"), "pm2.5")
    assert table.steps["pm2.5"].to_list() == [None if row["pm2.5"] == "NA" else float(row["pm2.5"]) for row in rows]
    assert table.steps["Iws"].to_list() == [float(row["Iws"]) for row in rows]
    by_hand = [datetime.datetime(*(int(row[part]) for part in ("year", "month", "day", "hour"))) for row in rows]
    assert table.steps["time"].to_list() == by_hand
    assert table.notes == ()


def test_beijing_from_file_to_table_takes_less_than_a_second_of_work() -> None:
    start = time.process_time()  # of this process: other work on the machine does not count; half a second is usual at most
    table_of(read_frame("bundled:beijing-air"), "pm2.5")
    assert time.process_time() - start < 1.0


def test_japanese_vowels_become_640_ragged_sequences() -> None:
    table = table_of(read_frame("bundled:japanese-vowels"), "class")
    assert table.steps.height == 9_961  # 4,274 + 5,687 steps, counted in the files
    assert table.sequences.height == 640
    assert table.sequences["class"].value_counts().height == 9
    assert table.sequences["part"].value_counts(sort=True).rows() == [("test", 370), ("train", 270)]
