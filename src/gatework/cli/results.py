"""evaluate, predict, report, compare: what can be done with a trained run."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from gatework.cli import show
from gatework.cli.train import source_of
from gatework.errors import ConfigError, nearest

if TYPE_CHECKING:
    import polars as pl

Run = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a trained run.", show_default=False)]
Part = Literal["train", "validation", "test"]
PARTS = ("test", "validation", "train")
ENDINGS = (".csv", ".parquet")
Labels = Annotated[
    str | None, typer.Option(metavar="FILE", help="The labels table of DATA, joined by the series. [none]", show_default=False)
]


def evaluate(
    run: Run,
    data: Annotated[
        list[str] | None, typer.Argument(metavar="[DATA]", help="Other data with the same columns.", show_default=False)
    ] = None,
    part: Annotated[
        str, typer.Option(metavar="PART", help="test, validation or train, without DATA. [test]", show_default=False)
    ] = "test",
    labels: Labels = None,
    classical: Annotated[bool, typer.Option("--classical", help="Also ETS, Theta and ARIMA: a minute or more.")] = False,
    by: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="Also the scores of each value of it, such as sex. [none]", show_default=False),
    ] = None,
) -> None:
    """Score a run beside its baselines, or on other data.

    Example:  gatework evaluate runs/data-load
              gatework evaluate runs/data-load next_year.csv
    """
    from gatework.cli.evaluation import show_evaluation
    from gatework.cli.request_options import split_list
    from gatework.evaluate import evaluate_run
    from gatework.evaluate.elsewhere import suffix_of

    if part not in PARTS:
        raise ConfigError(
            f"--part is '{part}'; expected one of {', '.join(PARTS)}. {nearest(part, PARTS)} Leave it out for test."
        )
    names = [name for text in by or () for name in split_list(text)]
    evaluation = evaluate_run(run, source_of(data), part=cast(Part, part), labels=labels, classical=classical, by=names)
    show_evaluation(evaluation)
    if evaluation.part != "test":
        show.heading("Saved")
        suffix = suffix_of(cast(Part, part), source_of(data))
        show.paragraph(
            f"In {run}: evaluation{suffix}.json and predictions{suffix}.parquet, beside those of the test part, which stay."
        )
    else:
        show.next_commands([(f"gatework report {run}", "write these scores into the report")])


def predict(
    run: Run,
    data: Annotated[list[str], typer.Argument(metavar="DATA", help="Data with the columns of the training.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A .csv or .parquet file. [CSV on standard output]", show_default=False)
    ] = None,
    labels: Labels = None,
    horizon: Annotated[
        int | None, typer.Option(metavar="STEPS", help="Steps ahead, if the decoder allows. [as trained]", show_default=False)
    ] = None,
    scores: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Anomalies: also the score of every step. [none]", show_default=False)
    ] = None,
) -> None:
    """Predict with a trained run.

    For a forecast: what follows the end of each series. For anomalies: the
    ranges that are unusual. Otherwise: one answer each.
    Example:  gatework predict runs/data-load today.csv --out tomorrow.csv
              gatework predict runs/data-load today.csv | head
    """
    check_file("--out", out)
    check_file("--scores", scores)
    from gatework.evaluate import predict_run

    prediction = predict_run(run, source_of(data), labels, horizon)
    if scores is not None:
        if prediction.steps is None:
            raise ConfigError("--scores was given, but the run is no anomaly detection. Expected a detector. Leave --scores out.")
        write_frame(prediction.steps, scores)
    for note in prediction.notes:
        show.aside(f"note: {note}")
    if out is None:
        sys.stdout.write(readable(prediction.frame).write_csv())
    else:
        write_frame(prediction.frame, out)
        show.aside(f"{prediction.frame.height} rows in {out}")


def check_file(option: str, file: Path | None) -> None:
    """ConfigError for a file that cannot be written as a table."""
    if file is not None and file.suffix not in ENDINGS:
        raise ConfigError(
            f"{option} is '{file}'; expected a file that ends in .csv or .parquet. Write for example {option} {file.stem}.csv"
        )
    if file is not None and not file.parent.is_dir():
        raise ConfigError(
            f"{option} is '{file}', but there is no folder '{file.parent}'. Expected one that exists. Make it first."
        )


def readable(frame: "pl.DataFrame") -> "pl.DataFrame":
    """The predictions with the seven digits that a float32 has; everything else as it is. Parquet keeps the numbers whole."""
    import polars as pl

    names = [
        name
        for name, dtype in frame.schema.items()
        if dtype.is_float() and (name in ("prediction", "confidence") or name.startswith(("probability ", "low ", "high ")))
    ]
    return frame.with_columns(
        pl.Series(name, [None if value is None else float(f"{value:.7g}") for value in frame[name]], dtype=pl.Float64)
        for name in names  # the end of a range without a bound is None
    )


def write_frame(frame: "pl.DataFrame", out: Path) -> None:
    """A frame as the kind of file that its ending names; the file is whole or not there."""
    from gatework.runs import atomic_write

    with atomic_write(out) as temporary:
        if out.suffix == ".csv":
            readable(frame).write_csv(temporary)
        else:
            frame.write_parquet(temporary)


def report(run: Run) -> None:
    """Write the report of a run again.

    One HTML file, which opens without a network.
    Example:  gatework report runs/data-load
    """
    from gatework.report import write_report

    show.say(str(write_report(run)))


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN RUN", help="Folders of evaluated runs.", show_default=False)],
) -> None:
    """Put the scores of several runs side by side.

    Example:  gatework compare runs/data-load runs/data-load-2
    """
    from gatework.cli.evaluation import show_comparison
    from gatework.evaluate import compare_runs

    if len(runs) < 2:
        raise ConfigError(f"One run was given, '{runs[0]}'. Expected at least two to compare. Name another after it.")
    comparison = compare_runs(runs)
    show_comparison(comparison.metrics, comparison.rows, comparison.notes)
