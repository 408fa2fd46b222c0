"""Reading: every format gives the values that were written; whatever cannot be read is refused in three parts."""

import csv
import datetime
import gzip
import io
import lzma
from pathlib import Path

import numpy as np
import pandas
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gatework.data.bundled import BUNDLED, source_text, unit_of
from gatework.data.read import PART, read_all_parts, read_frame, read_parts, read_source
from gatework.errors import ConfigError
from refusals import refusal

FRAME = pl.DataFrame({"when": ["2024-01-01", "2024-01-02", "2024-01-03"], "load": [1.5, 2.25, -3.0], "site": ["a", "b", "ä"]})


def written(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# ---- CSV -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_every_delimiter_and_encoding_gives_the_same_frame(tmp_path: Path, delimiter: str, encoding: str) -> None:
    text = FRAME.write_csv(separator=delimiter)
    assert read_frame(written(tmp_path / "data.csv", text.encode(encoding))).equals(FRAME)


@given(
    st.lists(
        st.tuples(
            st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**63), 2**63 - 1), st.none() | st.floats(-1e9, 1e9)
        ),
        min_size=1,
        max_size=30,
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_numbers_written_by_the_csv_module_come_back_bit_for_bit(
    tmp_path: Path, rows: list[tuple[float, int, float | None]]
) -> None:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerows([("number", "whole", "gap"), *[(repr(a), b, "" if c is None else repr(c)) for a, b, c in rows]])
    frame = read_frame(written(tmp_path / "n.csv", buffer.getvalue()))
    assert [float(value) for value in frame["number"].to_list()] == [a for a, _, _ in rows]
    assert frame["whole"].to_list() == [b for _, b, _ in rows]
    assert [None if value is None else float(value) for value in frame["gap"].to_list()] == [c for _, _, c in rows]


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Z"]), min_size=1), min_size=1, max_size=8))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_text_with_any_delimiter_or_quote_in_it_comes_back(tmp_path: Path, words: list[str]) -> None:
    buffer = io.StringIO()
    marked = [f"w{word}" for word in words]  # the letter keeps it from being a number or a spelling of "missing"
    csv.writer(buffer, quoting=csv.QUOTE_ALL).writerows([("word", "number"), *[(word, 1) for word in marked]])
    assert read_frame(written(tmp_path / "t.csv", buffer.getvalue()))["word"].to_list() == marked


@pytest.mark.parametrize("spelling", ["", "NA", "N/A", "NaN", "nan", "null", "-", "?", " NA "])
def test_each_spelling_of_missing_is_a_gap(tmp_path: Path, spelling: str) -> None:
    frame = read_frame(written(tmp_path / "d.csv", f"a,b\n1,x\n{spelling},y\n3,z\n"))
    assert frame["a"].to_list() == [1, None, 3]


def test_decimal_commas_are_read_as_decimal_points_and_said(tmp_path: Path) -> None:
    reading = read_source(written(tmp_path / "d.csv", "zeit;last;n\n01.02.2024;1,5;1\n02.02.2024;-1.234,25;2\n"))
    assert reading.frame["last"].to_list() == [1.5, -1234.25]
    assert reading.frame["n"].to_list() == [1, 2]
    assert any("'last'" in note and "decimal comma" in note for note in reading.notes)


def test_commas_between_thousands_are_understood_in_quotes(tmp_path: Path) -> None:
    frame = read_frame(written(tmp_path / "d.csv", 'a,b\n"1,234.5",1\n"12",2\n'))
    assert frame["a"].to_list() == [1234.5, 12.0]


def test_an_empty_column_at_the_end_is_dropped_and_said(tmp_path: Path) -> None:
    reading = read_source(written(tmp_path / "d.csv", "a,b,\n1,2,\n3,4,\n"))
    assert reading.frame.columns == ["a", "b"]
    assert "dropped" in reading.notes[0]


def test_leading_zeros_of_codes_are_kept(tmp_path: Path) -> None:
    frame = read_frame(written(tmp_path / "d.csv", "code,month\n00123,01\n00007,12\n"))
    assert frame["code"].to_list() == ["00123", "00007"]
    assert frame["month"].to_list() == [1, 12]


def test_a_stray_text_leaves_the_column_as_it_stands(tmp_path: Path) -> None:
    assert read_frame(written(tmp_path / "d.csv", "a\n1\n2\nbroken\n"))["a"].to_list() == ["1", "2", "broken"]


def test_windows_line_ends_and_empty_lines_do_no_harm(tmp_path: Path) -> None:
    assert read_frame(written(tmp_path / "d.csv", "a,b\r\n1,2\r\n3,4\r\n")).equals(pl.DataFrame({"a": [1, 3], "b": [2, 4]}))


def test_comment_lines_above_the_header_are_skipped(tmp_path: Path) -> None:
    assert read_frame(written(tmp_path / "d.csv", "# made by a logger\n# v2\nt,a\n1,2\n2,3\n")).columns == ["t", "a"]
    assert read_frame(written(tmp_path / "e.csv", "# t,a\n1,2\n2,3\n")).columns == ["t", "a"]


BAD_CSV = {
    "empty": ("", "is empty"),
    "only_a_header": ("a,b\n", "no rows"),
    "numbers_for_a_header": ("1.5,2.5\n3,4\n5,6\n", "1.5, 2.5"),
    "duplicate_names": ("load,time,load\n1,2,3\n", "2 columns named 'load'"),
    "short_row": ("a,b,c\n1,2,3\n4,5\n6,7,8\n", "Row 2"),
    "long_row": ("a,b\n1,2\n1,2,3\n", "Row 2"),
    "long_row_with_quotes": ('a,b\n"1",2\n1,2,3\n', "Row 2"),
}


@pytest.mark.parametrize("case", BAD_CSV)
def test_a_bad_table_of_text_is_refused_and_the_place_named(tmp_path: Path, case: str) -> None:
    content, said = BAD_CSV[case]
    message = refusal(lambda: read_frame(written(tmp_path / "bad.csv", content)))
    assert said in message
    assert "bad.csv" in message


def test_binary_rubbish_is_no_table(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, 4000, dtype=np.uint8).tobytes()
    assert "binary" in refusal(lambda: read_frame(written(tmp_path / "bad.csv", noise)))


# ---- Other formats -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["d.parquet", "d.arrow", "d.jsonl", "d.csv.gz", "d.tsv.xz", "d.json", "d.jsonl.gz"])
def test_every_format_gives_the_same_frame(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "d.parquet":
        FRAME.write_parquet(path)
    elif name == "d.arrow":
        FRAME.write_ipc(path)
    elif name == "d.json":
        FRAME.write_json(path)
    elif "jsonl" in name:
        text = FRAME.write_ndjson()
        written(path, gzip.compress(text.encode()) if name.endswith("gz") else text)
    elif name.endswith("gz"):
        written(path, gzip.compress(FRAME.write_csv().encode()))
    else:
        written(path, lzma.compress(FRAME.write_csv(separator="\t").encode()))
    assert read_frame(path).equals(FRAME)
    assert read_frame(str(path)).equals(FRAME)


def test_frames_of_other_libraries_give_the_same_frame() -> None:
    assert read_frame(FRAME.to_pandas()).equals(FRAME)
    assert read_frame(FRAME.to_arrow()).equals(FRAME)
    assert read_frame(FRAME).equals(FRAME)
    assert read_frame(FRAME.lazy()).equals(FRAME)


def test_the_time_index_of_a_pandas_frame_becomes_a_column_with_its_zone() -> None:
    index = pandas.date_range("2024-03-30", periods=4, freq="h", tz="Europe/Berlin", name="when")
    reading = read_source(pandas.DataFrame({"load": [1.0, float("nan"), 3.0, 4.0]}, index=index))
    assert reading.frame.schema["when"].time_zone == "Europe/Berlin"
    assert reading.frame["load"].to_list() == [1.0, None, 3.0, 4.0]
    assert "index" in reading.notes[0]


@pytest.mark.parametrize("shape", [(5,), (5, 3), (4, 5, 3)])
def test_arrays_of_one_to_three_axes_keep_their_values(tmp_path: Path, shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).normal(size=shape)
    np.save(tmp_path / "a.npy", array)
    frame = read_frame(tmp_path / "a.npy")
    values = frame.drop("series", "step", strict=False).to_numpy()
    assert np.array_equal(values.reshape(shape), array)
    if len(shape) == 3:
        assert frame["series"].to_list() == np.repeat(np.arange(4), 5).tolist()
        assert frame["step"].to_list() == list(range(5)) * 4


def test_named_arrays_become_one_table_with_answers_and_lengths(tmp_path: Path) -> None:
    x = np.arange(24.0).reshape(2, 4, 3)
    np.savez(tmp_path / "a.npz", x=x, label=np.array(["yes", "no"]), each=np.arange(8).reshape(2, 4), lengths=np.array([4, 2]))
    frame = read_frame(tmp_path / "a.npz")
    assert frame.height == 6
    assert frame.filter(pl.col("series") == 1)["x2"].to_list() == [14.0, 17.0]
    assert frame["label"].to_list() == ["yes"] * 4 + ["no"] * 2
    assert frame["each"].to_list() == [0, 1, 2, 3, 4, 5]


def test_pickled_objects_in_arrays_are_not_loaded(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{"a": 1}, None], dtype=object))
    assert "pickle" in refusal(lambda: read_frame(tmp_path / "a.npy"))


def test_lists_in_a_column_become_steps(tmp_path: Path) -> None:
    path = written(tmp_path / "d.jsonl", '{"id": "a", "x": [1, 2], "y": "p"}\n{"id": "b", "x": [3, 4, 5], "y": "q"}\n')
    frame = read_frame(path)
    assert frame["x"].to_list() == [1, 2, 3, 4, 5]
    assert frame["y"].to_list() == ["p", "p", "q", "q", "q"]
    assert frame["step"].to_list() == [0, 1, 0, 1, 2]


TS = "# about\n@problemName P\n@timeStamps false\n@classLabel true a b\n@data\n1,2,3:4,5,6:a\n7,?:8,9:b\n"


def test_a_ts_file_gives_ragged_channels_and_the_label(tmp_path: Path) -> None:
    frame = read_frame(written(tmp_path / "p.ts", TS))
    assert frame.to_dict(as_series=False) == {
        "series": [0, 0, 0, 1, 1],
        "step": [0, 1, 2, 0, 1],
        "x1": [1.0, 2.0, 3.0, 7.0, None],
        "x2": [4.0, 5.0, 6.0, 8.0, 9.0],
        "class": ["a", "a", "a", "b", "b"],
    }


def test_a_ts_file_with_a_target_value_and_time_stamps(tmp_path: Path) -> None:
    content = "@timeStamps true\n@targetLabel true\n@data\n(2024-01-01 10:00:00,1.5),(2024-01-01 11:00:00,2):0.25\n"
    frame = read_frame(written(tmp_path / "p.ts", content))
    assert frame["time"].to_list() == ["2024-01-01 10:00:00", "2024-01-01 11:00:00"]
    assert frame["value"].to_list() == [1.5, 2.0]
    assert frame["target"].to_list() == [0.25, 0.25]


BAD_FILES: dict[str, tuple[bytes, str]] = {
    "d.parquet": (b"PAR1 and then nothing", "Parquet"),
    "d.arrow": (b"not arrow", "Arrow"),
    "d.jsonl": (b'{"a": 1}\n{"a": ', "JSON Lines"),
    "d.npy": (b"\x93NUMPY\x01", "NumPy"),
    "d.npz": (b"PK\x03\x04 cut", "NumPy"),
    "d.ts": (b"1,2,3\n", "@data"),
    "e.ts": (b"@classLabel true a\n@data\n1,x,3:a\n", "Line 3"),
    "f.ts": (b"@classLabel true a\n@data\n1,2,3:4,5:a\n", "2 to 3 steps"),
    "d.csv.gz": (gzip.compress(b"a,b\n1,2\n" * 99)[:-9], "decompressed"),
    "d.csv.xz": (lzma.compress(b"a,b\n1,2\n" * 99)[:-9], "decompressed"),
    "d.xlsx": (b"PK", "Parquet"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_damaged_or_foreign_file_is_refused_by_name(tmp_path: Path, name: str) -> None:
    content, said = BAD_FILES[name]
    message = refusal(lambda: read_frame(written(tmp_path / name, content)))
    assert name in message
    assert said in message


def test_a_missing_file_suggests_the_nearest_name(tmp_path: Path) -> None:
    written(tmp_path / "weather.csv", "a\n1\n")
    assert "Did you mean 'weather.csv'?" in refusal(lambda: read_frame(tmp_path / "wether.csv"))
    assert "nor does the folder" in refusal(lambda: read_frame(tmp_path / "nowhere" / "a.csv"))


def test_something_that_is_no_frame_is_refused() -> None:
    assert "int was given" in refusal(lambda: read_frame(3))
    assert "0 rows" in refusal(lambda: read_frame(FRAME.head(0)))


# ---- Several files -----------------------------------------------------------------------------------------------------


def test_a_folder_and_a_pattern_are_one_file_a_sequence(tmp_path: Path) -> None:
    for i in (1, 2, 10):
        written(tmp_path / f"run{i}.csv", f"t,x\n0,{i}\n1,{i}.5\n")
    written(tmp_path / "README.txt", "about")
    for source in (tmp_path, str(tmp_path / "run*.csv"), [tmp_path / "run1.csv", tmp_path / "run2.csv", tmp_path / "run10.csv"]):
        frame = read_frame(source)
        assert frame["series"].to_list() == ["run1", "run1", "run2", "run2", "run10", "run10"]
        assert frame["x"].to_list() == [1, 1.5, 2, 2.5, 10, 10.5]


def test_types_are_settled_over_all_files_of_a_folder(tmp_path: Path) -> None:
    written(tmp_path / "a.csv", "t,x\n0,\n1,\n")
    written(tmp_path / "b.csv", "t,x\n0,1\n1,2.5\n")
    assert read_frame(tmp_path)["x"].to_list() == [None, None, 1.0, 2.5]


def test_a_file_with_other_columns_is_named(tmp_path: Path) -> None:
    written(tmp_path / "a.csv", "t,x\n0,1\n")
    written(tmp_path / "b.csv", "t,y\n0,1\n")
    message = refusal(lambda: read_frame(tmp_path))
    assert "b.csv' lacks 'x' and has also 'y'" in message
    (tmp_path / "empty").mkdir()
    assert "no data file" in refusal(lambda: read_frame(tmp_path / "empty"))
    assert "No file matches" in refusal(lambda: read_frame(str(tmp_path / "*.parquet")))


def test_separate_files_say_their_part(tmp_path: Path) -> None:
    train, test = written(tmp_path / "train.csv", "t,x\n0,1\n1,2\n"), written(tmp_path / "test.csv", "x,t\n3.5,2\n")
    frame, has_parts = read_parts([train], [], [test])
    assert has_parts
    assert frame.select("t", "x", PART).rows() == [(0, 1.0, "train"), (1, 2.0, "train"), (2, 3.5, "test")]
    alone, has_parts = read_parts([train])
    assert alone.equals(read_frame(train))
    assert not has_parts
    written(tmp_path / "other.csv", "t,z\n0,1\n")
    assert "The test data lacks 'x'" in refusal(lambda: read_parts([train], [], [tmp_path / "other.csv"]))
    assert "train" in refusal(lambda: read_parts([], [], [test]), ConfigError)


def test_cases_of_separate_ts_files_do_not_share_names(tmp_path: Path) -> None:
    train, test = written(tmp_path / "train.ts", TS), written(tmp_path / "test.ts", TS)
    frame = read_all_parts([train], [], [test]).frame
    assert frame["series"].unique().sort().to_list() == ["test/0", "test/1", "train/0", "train/1"]


# ---- Bundled -----------------------------------------------------------------------------------------------------------


def test_beijing_air_is_whole() -> None:
    frame = read_frame("bundled:beijing-air")
    assert frame.height == 43_824  # 5 years of hours, one leap day: (5 * 365 + 1) * 24
    assert frame["pm2.5"].null_count() == 2_067  # as its source states
    assert frame["cbwd"].unique().sort().to_list() == ["NE", "NW", "SE", "cv"]


def test_japanese_vowels_have_their_official_parts() -> None:
    frame = read_frame("bundled:japanese-vowels")
    cases = frame.group_by("series").agg(pl.len().alias("n"), pl.col("class").n_unique().alias("classes"), pl.col("part").first())
    assert cases["part"].value_counts(sort=True).rows() == [("test", 370), ("train", 270)]
    assert (cases["n"].min(), cases["n"].max()) == (7, 29)
    assert cases["classes"].max() == 1
    assert read_frame("bundled:japanese-vowels/train")["series"].n_unique() == 270
    assert read_frame("bundled:japanese-vowels/test")["series"].n_unique() == 370


@pytest.mark.parametrize("name", BUNDLED)
def test_every_bundled_set_ships_its_source_licence_and_citation(name: str) -> None:
    text = source_text(name)
    assert BUNDLED[name].licence in text
    assert "Licence" in text
    assert "Please cite" in text
    assert BUNDLED[name].citation[:5] in text
    assert BUNDLED[name].target in read_frame(f"bundled:{name}").columns


def test_units_are_known_for_bundled_columns_only() -> None:
    assert unit_of(("bundled:beijing-air",), "pm2.5") == "µg/m³"
    assert unit_of(("bundled:beijing-air",), "cbwd") == ""
    assert unit_of(("mine.csv",), "pm2.5") == ""


def test_an_unknown_bundled_name_is_refused_with_the_nearest() -> None:
    assert "beijing-air" in refusal(lambda: read_frame("bundled:beijing"), ConfigError)
    assert "'test'" in refusal(lambda: read_frame("bundled:japanese-vowels/tset"), ConfigError)


def test_dates_of_parquet_stay_dates(tmp_path: Path) -> None:
    pl.DataFrame({"d": [datetime.date(2024, 1, 1)], "x": pl.Series([1], dtype=pl.UInt8)}).write_parquet(tmp_path / "d.parquet")
    assert read_frame(tmp_path / "d.parquet").dtypes == [pl.Date, pl.Int64]
