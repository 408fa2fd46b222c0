"""study.json: what many trainings of one question were asked, which they are, and what came out.

A study is a folder: study.json, one run folder for each training, study.html and figures/. The six wishes say what is repeated.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from gatework.runs.evaluation import MetricInfo, Score
from gatework.runs.figures import DotsFigure, LinesFigure
from gatework.runs.record import SCHEMA_VERSION, Part, Record, TaskName

STUDY = "study.json"


class Backtest(Record):
    """The same forecast at several moments of the past, each model fitted on what was known then.

    windows: how many moments. scheme: what is trained on: everything before the moment, or as many steps as before the first.
    step: steps from one moment to the next, all of which are judged; None: the later half of the data divided by `windows`.
    refit_every: a new model at every so many moments; 0: the first one is rolled on to the end.
    """

    kind: Literal["backtest"] = "backtest"
    windows: int = 5
    scheme: Literal["expanding", "sliding"] = "expanding"
    step: int | None = None
    refit_every: int = 1


class Folds(Record):
    """Every part of the data is the test part once.

    k: how many folds. by: `blocked`: stretches of time, for forecasts; `group`: whole series or groups; `stratified`: also with
        the classes in equal shares; None: by time for forecasts, stratified for classes, by group otherwise.
        A group column of the request (`Request.group`) stays together in the latter two.
    embargo: steps after a test stretch that are not trained on, beyond the purge of all windows that reach into it.
    """

    kind: Literal["folds"] = "folds"
    k: int = 5
    by: Literal["blocked", "group", "stratified"] | None = None
    embargo: int = 0


class Search(Record):
    """Which options are best, by the validation part alone.

    trials: at most so many; minutes: or so long. space: a TOML file of ranges; None: the default of the task.
    storage: where trials are kept: a database URL, or None for a journal in the folder of the study.
    prune: whether a trial that stays behind is ended early.
    """

    kind: Literal["search"] = "search"
    trials: int = 30
    minutes: float | None = None
    space: str | None = None
    storage: str | None = None
    prune: bool = True


class Curve(Record):
    """How the error falls with more training data. shares: of the training part, above 0 to 1. seeds: trainings of each."""

    kind: Literal["curve"] = "curve"
    shares: tuple[float, ...] = (0.1, 0.2, 0.4, 0.7, 1.0)
    seeds: int = 3


class Sweep(Record):
    """One option at a time, all others as they are. options: their names. values: by option; usual ones where none are given."""

    kind: Literal["sweep"] = "sweep"
    options: tuple[str, ...] = ("dropout", "weight_decay", "hidden_size")
    values: dict[str, tuple[float, ...]] = {}


class Seeds(Record):
    """The same training with several seeds, and the mean of their predictions. members: how many."""

    kind: Literal["seeds"] = "seeds"
    members: int = 5


Wish = Annotated[Backtest | Folds | Search | Curve | Sweep | Seeds, Field(discriminator="kind")]


WISHES: dict[str, type[Backtest | Folds | Search | Curve | Sweep | Seeds]] = {
    "backtest": Backtest,
    "folds": Folds,
    "search": Search,
    "curve": Curve,
    "sweep": Sweep,
    "seeds": Seeds,
}


def as_wish(kind: str, values: Mapping[str, object]) -> Wish:
    """A wish from its options; those that are left out have their defaults."""
    return WISHES[kind].model_validate(dict(values))


class StudyJob(Record):
    """One training, or one judgement of an earlier one.

    folder: of its files, below the study's. model: the folder of the model that is judged, the same unless it is rolled on.
    part: what is judged. label: what it is called in tables. variant: the configuration, by name. x: its place on an axis.
    seed: of the bootstrap, equal for jobs that are compared in pairs.
    """

    folder: str
    model: str
    label: str
    part: Part = "test"
    variant: str = ""
    x: float | None = None
    seed: int = 0


class StudyRow(Record):
    """One row of a table: scores, texts, or None where nothing is defined."""

    name: str
    kind: Literal["model", "baseline", "other"] = "other"
    cells: tuple[Score | str | None, ...]


class StudyTable(Record):
    """A table. columns: titles, the unit in parentheses. better: the direction of each column, empty where it has none.

    is_one_quantity: whether all scores are of one kind, to be written with the same number of decimals.
    """

    title: str
    caption: str = ""
    first: str = ""
    columns: tuple[str, ...]
    better: tuple[Literal["lower", "higher", ""], ...] = ()
    is_one_quantity: bool = False
    rows: tuple[StudyRow, ...]

    def values(self, column: int | None = None) -> list[float]:
        """The defined scores of one column, or of all."""
        cells = [cell for row in self.rows for cell in (row.cells if column is None else row.cells[column : column + 1])]
        return [cell.value for cell in cells if isinstance(cell, Score) and cell.value is not None]

    def best(self, column: int) -> float | None:
        """The best value of a column that has a direction and two values or more."""
        values = self.values(column)
        if not self.better or not self.better[column] or len(values) < 2:
            return None
        return min(values) if self.better[column] == "lower" else max(values)


class RangeSeries(Record):
    """Points with their ranges; low and high are None where there is none. style says what it is, not how it looks."""

    name: str
    y: tuple[float | None, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]
    style: Literal["prediction", "baseline", "history"] = "prediction"


class RangesFigure(Record):
    """Points with error bars, several series side by side. x: numbers, or names in their order.

    is_joined: whether a line joins the points of a series. x_scale: `log` for sizes.
    """

    kind: Literal["ranges"] = "ranges"
    name: str
    title: str
    caption: str
    x_label: str
    y_label: str
    x: tuple[float, ...] | tuple[str, ...]
    series: tuple[RangeSeries, ...]
    is_joined: bool = False
    x_scale: Literal["linear", "log"] = "linear"


StudyFigure = Annotated[LinesFigure | DotsFigure | RangesFigure, Field(discriminator="kind")]


class StudyResult(Record):
    """What came out. verdict: sentences, the first is the answer. settings: the best options as TOML, where a study chose some.

    command: the training with them, as typed; empty where the study was asked for in Python.
    run: the folder of the model to use, below the study's; empty where there is none.
    """

    metrics: tuple[MetricInfo, ...] = ()
    tables: tuple[StudyTable, ...] = ()
    figures: tuple[StudyFigure, ...] = ()
    verdict: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    settings: str = ""
    command: str = ""
    run: str = ""


class Variant(Record):
    """One configuration of a study. said: its options as JSON, those that differ from leaving them out."""

    name: str
    said: str


class StudyRecord(Record):
    """study.json. wish: what is repeated. variants: the configurations, the first is the one that was asked for.

    data: the sources as they were given. sources: sha256 of each data file, by path.
    jobs: in their order; empty for a search, whose trials are chosen on the way.
    """

    schema_version: int = SCHEMA_VERSION
    gatework: str
    status: Literal["running", "finished"] = "running"
    wish: Wish
    task: TaskName
    targets: tuple[str, ...]
    variants: tuple[Variant, ...]
    data: tuple[str, ...] = ()
    sources: dict[str, str] = {}
    jobs: tuple[StudyJob, ...] = ()
    notes: tuple[str, ...] = ()
    result: StudyResult | None = None
    command: str = ""
    python: str = ""
    seed: int = 0
    wall_time_s: float = 0.0
