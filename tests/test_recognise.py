"""Recognition: what each column is and what it is for, from the data alone; a reason for every choice; wishes come first."""

import datetime
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from gatework.data.read import PART, read_frame
from gatework.data.recognise import Recognised, Wishes, recognise
from gatework.errors import ConfigError, DataError
from refusals import refusal

RANDOM = np.random.default_rng(0)


def role(found: Recognised, name: str) -> str:
    return next(field.role for field in found.plan.fields if field.name == name)


def kind(found: Recognised, name: str) -> str:
    return next(field.kind for field in found.plan.fields if field.name == name)


def series_frame(num_series: int = 4, num_steps: int = 12) -> pl.DataFrame:
    """Several stations with a time, a measured value, a fixed height and one class each."""
    total = num_series * num_steps
    return pl.DataFrame(
        {
            "station": np.repeat([f"s{i}" for i in range(num_series)], num_steps),
            "time": [datetime.datetime(2024, 1, 1) + datetime.timedelta(hours=i) for i in range(num_steps)] * num_series,
            "load": RANDOM.normal(size=total),
            "height": np.repeat(np.arange(num_series) + 0.5, num_steps),
            "sort": np.repeat(["hill", "vale"], total // 2),
        }
    )


# ---- Time ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "time_format"),
    [
        (["2024-01-30", "2024-01-31", "2024-02-01"], None),
        (["2024-01-30 10:00", "2024-01-30 11:00", "2024-01-30 12:00"], None),
        (["2024-01-30T10:00:00Z", "2024-01-30T11:00:00Z", "2024-01-30T12:00:00Z"], None),
        (["30/01/2024", "31/01/2024", "01/02/2024"], "%d/%m/%Y"),
        (["01/30/2024", "01/31/2024", "02/01/2024"], "%m/%d/%Y"),
        (["01/02/2024", "02/02/2024", "03/02/2024"], "%d/%m/%Y"),  # ambiguous: even steps decide
        (["01/02/2024", "01/03/2024", "01/04/2024"], "%m/%d/%Y"),
        (["30.01.2024 10:00", "30.01.2024 11:00", "30.01.2024 12:00"], "%d.%m.%Y %H:%M"),
        (["1/30/2024 1:00 PM", "1/30/2024 2:00 PM", "1/30/2024 3:00 PM"], "%m/%d/%Y %I:%M %p"),
        (["Jan 2024", "Feb 2024", "Mar 2024"], "%b %Y"),
        (["2024-01", "2024-02", "2024-03"], "%Y-%m"),
    ],
)
def test_time_in_text_is_found_with_its_format(texts: list[str], time_format: str | None) -> None:
    found = recognise(pl.DataFrame({"x": [1.0, 2.5, 1.5], "when": texts}), Wishes(targets=("x",)))
    assert (found.plan.time, found.plan.time_format) == ("when", time_format)
    assert "'when'" in found.reasons["time"]


def test_two_years_of_months_are_read_with_the_day_first() -> None:
    texts = [f"01/{month:02}/{year}" for year in (2022, 2023) for month in range(1, 13)]
    found = recognise(pl.DataFrame({"date": texts, "x": RANDOM.normal(size=24)}), Wishes(targets=("x",)))
    assert found.plan.time_format == "%d/%m/%Y"


def test_a_date_that_could_be_read_both_ways_is_said() -> None:
    found = recognise(
        pl.DataFrame({"date": ["01/02/2024", "02/01/2024", "03/03/2024"], "x": [1.5, 2.0, 4.5]}), Wishes(targets=("x",))
    )
    assert "could also be %m/%d/%Y" in found.reasons["time"]


@pytest.mark.parametrize(
    "parts", [("year", "month", "day", "hour"), ("Year", "Month", "Day"), ("year", "month"), ("yr", "mo", "day", "hr", "min")]
)
def test_time_spread_over_columns_is_put_together(parts: tuple[str, ...]) -> None:
    stamps = [datetime.datetime(2024, 1, 30) + datetime.timedelta(hours=i) for i in range(60)]
    values = {
        name: [getattr(stamp, full) for stamp in stamps]
        for name, full in zip(parts, ("year", "month", "day", "hour", "minute"), strict=False)
    }
    found = recognise(pl.DataFrame(values | {"x": RANDOM.normal(size=60)}), Wishes(targets=("x",)))
    assert found.plan.time_parts == parts
    assert all(role(found, part) == "ignored" for part in parts)
    assert role(found, str(found.plan.time)) == "time"


def test_a_date_beside_a_clock_and_a_date_beside_an_hour() -> None:
    clock = pl.DataFrame({"Date": ["16/12/2006"] * 3, "Time": ["17:24:00", "17:25:00", "17:26:00"], "x": [1.5, 2.0, 4.5]})
    found = recognise(clock, Wishes(targets=("x",)))
    assert (found.plan.time_parts, found.plan.time_format) == (("Date", "Time"), "%d/%m/%Y")
    hour = pl.DataFrame({"day_of": ["2024-01-01"] * 3, "hr": [0, 1, 2], "x": [1.5, 2.0, 4.5]})
    assert recognise(hour, Wishes(targets=("x",))).plan.time_parts == ("day_of", "hr")


def test_a_number_that_counts_up_is_an_order_and_an_epoch_a_time() -> None:
    order = recognise(pl.DataFrame({"step": [5, 6, 9], "x": [1.5, 2.0, 4.5]}), Wishes(targets=("x",)))
    assert (order.plan.time, kind(order, "step")) == ("step", "numeric")
    epoch = recognise(
        pl.DataFrame({"timestamp": [1_700_000_000, 1_700_003_600, 1_700_007_200], "x": [1.5, 2.0, 4.5]}), Wishes(targets=("x",))
    )
    assert (epoch.plan.time_format, kind(epoch, "timestamp")) == ("epoch:s", "timestamp")


def test_without_a_time_the_order_of_the_rows_counts_and_that_is_said() -> None:
    found = recognise(pl.DataFrame({"x": [1.5, 2.0, 4.5], "y": [3, 1, 2]}), Wishes(targets=("x",)))
    assert found.plan.time is None
    assert "in the order in which they stand" in found.reasons["time"]


# ---- Series, roles, kinds ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["station", "unique_id", "patient", "ticker", "Sensor_ID", "id"])
def test_the_series_column_is_found_by_its_name(name: str) -> None:
    found = recognise(series_frame().rename({"station": name}), Wishes(targets=("load",)))
    assert found.plan.series == name
    assert f"'{name}'" in found.reasons["series"]


def test_the_series_column_is_found_by_repeating_times() -> None:
    found = recognise(series_frame().rename({"station": "quux"}).drop("sort", "height"), Wishes(targets=("load",)))
    assert found.plan.series == "quux"


def test_what_never_varies_within_a_series_is_static() -> None:
    found = recognise(series_frame(), Wishes(targets=("load",)))
    assert [role(found, name) for name in ("height", "sort", "load")] == ["static", "static", "target"]
    assert "height" in found.reasons["static.height"]


def test_each_kind_of_column_is_recognised_with_a_reason() -> None:
    n = 60
    frame = pl.DataFrame(
        {
            "t": range(n),
            "number": RANDOM.normal(size=n),
            "zero_one": RANDOM.integers(0, 2, n),
            "words": ["yes", "no", "No"] * (n // 3),
            "flag": [True, False] * (n // 2),
            "wind": ["NE", "SW", "cv"] * (n // 3),
            "stray": [str(i) for i in range(n - 1)] + ["broken"],
        }
    )
    found = recognise(frame, Wishes(targets=("number",)))
    kinds = {name: kind(found, name) for name in ("zero_one", "words", "flag", "wind", "stray")}
    assert kinds == {"zero_one": "numeric", "words": "boolean", "flag": "boolean", "wind": "categorical", "stray": "numeric"}
    assert all(f"kinds.{name}" in found.reasons for name in kinds)


def test_columns_of_no_use_are_ignored_and_each_says_why() -> None:
    n = 60
    frame = pl.DataFrame(
        {
            "when": [datetime.date(2024, 1, 1) + datetime.timedelta(days=i) for i in range(n)],
            "No": range(1, n + 1),
            "same": [7] * n,
            "empty": pl.Series([None] * n, dtype=pl.Float64),
            "comment": [f"remark {i}" for i in range(n)],
            "stored": [f"2024-05-{1 + i % 28:02}" for i in range(n)],
            "x": RANDOM.normal(size=n),
        }
    )
    found = recognise(frame, Wishes(targets=("x",)))
    whys = {"No": "counts the rows", "same": "always 7", "empty": "empty", "comment": "too many", "stored": "second time stamp"}
    for name, why in whys.items():
        assert role(found, name) == "ignored"
        assert why in found.reasons[f"ignored.{name}"]
    assert found.plan.time == "when"


def test_missing_values_get_a_policy_and_are_counted() -> None:
    frame = series_frame().with_columns(load=pl.when(pl.int_range(pl.len()) < 3).then(None).otherwise("load"))
    frame = frame.with_columns(extra=pl.when(pl.int_range(pl.len()) == 7).then(None).otherwise(pl.Series(RANDOM.normal(size=48))))
    found = recognise(frame, Wishes(targets=("load",)))
    policies = {field.name: field.missing for field in found.plan.fields}
    assert (policies["load"], policies["extra"]) == ("mask", "previous")
    assert "'load' 3 (mask)" in found.reasons["missing"]


def test_wishes_come_before_what_would_be_recognised() -> None:
    wishes = Wishes(
        targets=("load",),
        known_future=("height",),
        ignore=("sort",),
        kinds={"height": "categorical"},
        missing={"height": "constant"},
        constant=4.0,
    )
    found = recognise(series_frame(), wishes)
    field = next(field for field in found.plan.fields if field.name == "height")
    assert (field.role, field.kind, field.missing, field.constant) == ("known_future", "categorical", "constant", 4.0)
    assert role(found, "sort") == "ignored"
    everywhere = recognise(series_frame(), replace(wishes, missing="linear"))
    assert next(field for field in everywhere.plan.fields if field.name == "height").missing == "linear"


def test_a_column_of_parts_is_the_split() -> None:
    frame = series_frame().with_columns(part=pl.when(pl.col("station") == "s0").then(pl.lit("test")).otherwise(pl.lit("train")))
    assert role(recognise(frame, Wishes(targets=("sort",))), "part") == "split"
    assert role(recognise(frame.rename({"part": PART}), Wishes(targets=("sort",))), PART) == "split"
    assert role(recognise(frame.rename({"part": "mine"}), Wishes(targets=("sort",), split_column="mine")), "mine") == "split"


# ---- Task, layout, labels ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("target", "task"), [("load", "forecast"), ("sort", "classify"), ("height", "regress")])
def test_the_shape_of_the_target_gives_the_task(target: str, task: str) -> None:
    found = recognise(series_frame(), Wishes(targets=(target,)))
    assert found.plan.task == task
    assert target in found.reasons["task"]


def test_whole_number_classes_are_classified_unless_told_otherwise() -> None:
    frame = series_frame().with_columns(grade=pl.col("height").cast(pl.Int64) % 3)
    assert recognise(frame, Wishes(targets=("grade",))).plan.task == "classify"
    assert recognise(frame, Wishes(targets=("grade",), task="regress")).plan.task == "regress"


def test_one_row_a_sequence_is_found_by_the_names_of_its_columns() -> None:
    values = RANDOM.normal(size=(20, 12))
    frame = pl.DataFrame(
        {"name": [f"n{i}" for i in range(20)], "label": ["a", "b"] * 10} | {f"t{i}": values[:, i] for i in range(12)}
    )
    found = recognise(frame, Wishes(targets=("label",)))
    assert (found.plan.layout, found.plan.task, found.plan.series) == ("sequences", "classify", "name")
    assert "t0 to t11" in found.reasons["layout"]


def test_numbered_sensors_side_by_side_are_no_steps_but_smooth_curves_are() -> None:
    sensors = RANDOM.normal(size=(100, 16)) * np.arange(1, 17) * 10
    walks = RANDOM.normal(size=(40, 16)).cumsum(axis=1) * 0.1 + RANDOM.normal(size=(40, 1)) * 10
    side_by_side = pl.DataFrame({f"x{i}": sensors[:, i] for i in range(16)} | {"y": RANDOM.normal(size=100)})
    curves = pl.DataFrame({f"x{i}": walks[:, i] for i in range(16)} | {"y": RANDOM.normal(size=40)})
    assert recognise(side_by_side, Wishes(targets=("y",))).plan.layout == "steps"
    assert recognise(curves, Wishes(targets=("y",))).plan.layout == "sequences"


def test_the_long_form_is_found_and_its_variables_become_columns() -> None:
    rows = [(i, t, name, i + t * scale) for i in range(3) for t in range(6) for name, scale in (("pulse", 2.5), ("temp", 0.5))]
    frame = pl.DataFrame(rows, schema=["patient", "time", "variable", "value"], orient="row")
    found = recognise(frame, Wishes(targets=("pulse",)))
    assert (found.plan.layout, found.plan.variable, found.plan.value, found.plan.series) == (
        "long",
        "variable",
        "value",
        "patient",
    )
    assert {field.name for field in found.plan.fields} == {"patient", "time", "pulse", "temp"}


def test_a_table_of_labels_gives_series_target_and_attributes() -> None:
    events = series_frame().drop("height", "sort")
    labels = pl.DataFrame({"station": ["s0", "s1", "s2", "s3"], "died": ["yes", "no", "no", "yes"], "age": [1.5, 2.5, 3, 4]})
    found = recognise(events, Wishes(targets=("died",), labels="labels.csv"), labels)
    assert (found.plan.series, found.plan.task, found.plan.labels) == ("station", "classify", "labels.csv")
    assert role(found, "age") == "static"
    refusal(lambda: recognise(events, Wishes(targets=("died",)), labels.rename({"station": "other"})), ConfigError)


# ---- Refusals ------------------------------------------------------------------------------------------------------------


def test_no_target_lists_the_candidates_and_chooses_nothing() -> None:
    message = refusal(lambda: recognise(series_frame(), Wishes()), ConfigError)
    assert "load, height, sort" in message


@pytest.mark.parametrize(
    "wishes",
    [
        Wishes(targets=("laod",)),
        Wishes(targets=("load",), time="tiem"),
        Wishes(targets=("load",), series="statoin"),
        Wishes(targets=("load",), known_future=("hieght",)),
        Wishes(targets=("load",), ignore=("srot",)),
        Wishes(targets=("load",), kinds={"hieght": "numeric"}),
        Wishes(targets=("load",), missing={"hieght": "mean"}),
        Wishes(targets=("load",), split_column="srot"),
    ],
)
def test_a_column_that_does_not_exist_suggests_the_nearest(wishes: Wishes) -> None:
    assert "Did you mean" in refusal(lambda: recognise(series_frame(), wishes), ConfigError)


def test_wishes_that_contradict_the_data_are_refused() -> None:
    frame = series_frame()
    contradictions = {
        "varies within a series": Wishes(targets=("load",), task="classify"),
        "nothing to forecast": Wishes(targets=("height",), task="forecast"),
        "is text": Wishes(targets=("sort",), task="regress"),
        "cannot be the target": Wishes(targets=("time",), time="time"),
        "has no future": Wishes(targets=("sort",), known_future=("load",)),
        "2 targets": Wishes(targets=("sort", "height"), task="classify"),
        "is no time": Wishes(targets=("load",), time="sort"),
        "no columns are numbered": Wishes(targets=("load",), layout="sequences"),
        "long form": Wishes(targets=("load",), layout="long"),
    }
    for said, wishes in contradictions.items():
        assert said in refusal(lambda wishes=wishes: recognise(frame, wishes), ConfigError)


@pytest.mark.parametrize(
    "role", [{"ignore": ("load",)}, {"known_future": ("load",)}, {"static": ("load",)}, {"targets": ("load", "load")}]
)
def test_a_target_has_no_other_part_and_is_named_once(role: dict[str, tuple[str, ...]]) -> None:
    wishes = replace(Wishes(targets=("load",)), **role)
    assert "'load' is named in --target" in refusal(lambda: recognise(series_frame(), wishes), ConfigError)


@pytest.mark.parametrize("form", ["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f", "%d.%m.%Y %H:%M"])
def test_one_misprinted_time_stamp_does_not_cost_the_order_of_the_rows(form: str) -> None:
    start = datetime.datetime(2024, 1, 20)
    stamps = [(start + datetime.timedelta(hours=hour)).strftime(form) for hour in range(60)]
    frame = pl.DataFrame({"when": [*stamps[:40], "31/31/2024", *stamps[41:]], "load": RANDOM.normal(size=60)})
    message = refusal(lambda: recognise(frame, Wishes(targets=("load",))))
    assert "'31/31/2024' in row 41" in message
    assert "its other values are time stamps" in message
    assert recognise(frame, Wishes(targets=("load",), ignore=("when",))).plan.time is None
    notes = frame.with_columns(pl.Series("when", [*stamps[:40], *(f"visit {number}" for number in range(20))]))
    assert recognise(notes, Wishes(targets=("load",))).plan.time is None  # text in which times occur is text


def test_one_row_is_not_enough() -> None:
    assert "1 row" in refusal(lambda: recognise(series_frame().head(1), Wishes(targets=("load",))), DataError)


# ---- Real data -----------------------------------------------------------------------------------------------------------


def test_beijing_needs_nothing_but_its_target() -> None:
    found = recognise(read_frame("bundled:beijing-air"), Wishes(targets=("pm2.5",)))
    assert (found.plan.task, found.plan.series, found.plan.time_parts) == ("forecast", None, ("year", "month", "day", "hour"))
    roles = {field.name: field.role for field in found.plan.fields}
    assert [name for name, which in roles.items() if which == "past"] == ["DEWP", "TEMP", "PRES", "cbwd", "Iws", "Is", "Ir"]
    assert roles["No"] == "ignored"


def test_japanese_vowels_need_nothing_but_their_target() -> None:
    found = recognise(read_frame("bundled:japanese-vowels"), Wishes(targets=("class",)))
    assert (found.plan.task, found.plan.series, found.plan.time) == ("classify", "series", "step")
    assert (role(found, "part"), kind(found, "class")) == ("split", "categorical")


@pytest.mark.parametrize(
    ("file", "target", "expected"),
    [
        ("ett/ETTh1.csv.xz", "OT", ("forecast", "date", (), None)),
        ("bike_sharing/hour.csv.xz", "cnt", ("forecast", "time", ("dteday", "hr"), None)),
        ("ecb_fx/eurofxref-hist.csv.xz", "USD", ("forecast", "Date", (), None)),
        ("ts_classic/airline-passengers.csv", "Passengers", ("forecast", "Month", (), None)),
        ("ucr_uea/GunPoint_TRAIN.ts.xz", "class", ("classify", "step", (), "series")),
    ],
)
def test_real_files_are_recognised(
    data_folder: Path, file: str, target: str, expected: tuple[str, str, tuple[str, ...], str | None]
) -> None:
    if not (data_folder / file).is_file():
        pytest.skip(f"no '{file}' among the real data")
    plan = recognise(read_frame(data_folder / file), Wishes(targets=(target,))).plan
    assert (plan.task, plan.time, plan.time_parts, plan.series) == expected
