"""What a notebook shows: the same numbers as the report, safe against names, with its own style, reaching for nothing outside."""

import re
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from gatework.evaluate import Prediction
from gatework.report import notebook
from gatework.report.notebook import bands_of, fan
from gatework.runs import RunFolder
from report_runs import forecast_evaluation, write_forecast_run


def forecast(names: tuple[str, ...] = ("<b>north</b>", "south"), ranges: bool = True) -> Prediction:
    """Four steps of each series, with ranges."""
    start = datetime(2026, 1, 1)
    rows = [
        {
            "series": name, "forecast_from": start, "time": start + timedelta(hours=step), "step": step, "target": "load",
            "prediction": 10.0 * step, **({"low 80 %": 8.0 * step, "high 80 %": 12.0 * step, "low 95 %": 6.0 * step,
                                           "high 95 %": 14.0 * step} if ranges else {}),
        }
        for name in names
        for step in range(1, 5)
    ]  # fmt: skip
    return Prediction(pl.DataFrame(rows), ("a note",))


def test_a_forecast_is_drawn_with_its_ranges_the_widest_first() -> None:
    frame = forecast().frame
    figure = fan(frame, {"series": "south", "target": "load"})
    assert figure.lines[0].y == (10.0, 20.0, 30.0, 40.0)
    assert [(band.level, band.low, band.high) for band in figure.bands] == [
        (0.95, (6.0, 12.0, 18.0, 24.0), (14.0, 28.0, 42.0, 56.0)), (0.8, (8.0, 16.0, 24.0, 32.0), (12.0, 24.0, 36.0, 48.0)),
    ]  # fmt: skip
    assert bands_of(forecast(ranges=False).frame) == ()
    text = forecast()._repr_html_()
    assert text.count("<svg") == 2
    assert "<b>north</b>" not in text
    assert "&lt;b&gt;north&lt;/b&gt;" in text
    assert "a note" in text


def test_many_series_are_shown_in_part_and_counted() -> None:
    text = forecast(tuple("abcdefg"))._repr_html_()
    assert text.count("<svg") == notebook.MOST_SERIES
    assert f"{7 - notebook.MOST_SERIES} more" in text


def test_answers_for_whole_sequences_are_their_first_rows() -> None:
    text = Prediction(pl.DataFrame({"series": ["a"], "prediction": ["up"]}), ())._repr_html_()
    assert "up" in text
    assert "<svg" not in text


def test_an_evaluation_shows_its_table_and_verdict(tmp_path: Path) -> None:
    evaluation = forecast_evaluation()
    text = evaluation._repr_html_()
    assert evaluation.verdict[0] in text
    assert {row.scores["MAE"].value for row in evaluation.rows} <= {
        float(value) for value in re.findall(r'value="([^"]+)"', text)
    }
    ids = re.findall(r' id="([^"]+)"', text + evaluation._repr_html_())
    assert len(ids) == len(set(ids)), "two outputs of one notebook share an id"
    assert "href" not in text.replace("xlink:href", "").replace('href="#', "")
    run = write_forecast_run(tmp_path / "run")
    shown = run._repr_html_()
    assert "Forecasting pm2.5" in shown
    assert evaluation.verdict[0] in shown
    assert "is not a run folder" in RunFolder(tmp_path / "nowhere")._repr_html_()


def test_a_notebook_that_uses_the_public_names_shows_pictures() -> None:
    code = (
        "import gatework; gatework.write_report; from gatework.runs.notebook import SHOWN_BY; "
        "assert set(SHOWN_BY) == {'Evaluation', 'Prediction', 'RunFolder'}"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
