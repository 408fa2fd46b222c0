"""train, resume, demo: from data to a trained, evaluated and reported run."""

import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gatework.cli import show
from gatework.cli.request_options import as_command, make_request_from, takes_request
from gatework.errors import ConfigError, nearest

if TYPE_CHECKING:
    from gatework.runs import HistoryRow, RunFolder
    from gatework.train import Request
    from gatework.train.watch import Watch

Data = Annotated[
    list[str],
    typer.Argument(
        metavar="DATA", help="A file, a folder or several files (one a sequence), or bundled:NAME.", show_default=False
    ),
]
Out = Annotated[
    Path | None, typer.Option(metavar="RUN", help="The folder to make. [runs/DATA-TARGET, numbered]", show_default=False)
]
Config = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Options from a TOML file; those typed here win. [none]", show_default=False),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print the table only.")]
NoReport = Annotated[bool, typer.Option("--no-report", help="Write no report.html.")]
Classical = Annotated[bool, typer.Option("--classical", help="Also ETS, Theta and ARIMA: a minute or more.")]

DEMOS: dict[str, tuple[str, dict[str, object]]] = {
    "forecast": ("bundled:beijing-air", {"target": "pm2.5", "horizon": 24}),
    "classify": ("bundled:japanese-vowels", {"target": "class"}),
}
"""What each demo trains: the data, and the options of `gatework train`."""


@takes_request
def train(
    data: Data,
    config: Config = None,
    out: Out = None,
    quiet: Quiet = False,
    no_report: NoReport = False,
    classical: Classical = False,
    *,
    asked: Mapping[str, object],
) -> None:
    """Train a model on your data, score it, write a report.

    It is scored beside honest baselines, on data that it has not seen.
    Whatever you leave out is inferred from the data and printed with its reason.
    Example:  gatework train data.csv --target load
              gatework train data.csv --target load --horizon 24 --known-future holiday
    """
    request = make_request_from(asked, config)
    if classical:
        from gatework.tasks.baselines import import_models

        import_models()  # what is missing is said before the training, not after it
    run = train_in_view(data, request, out, quiet)
    show_result(run, quiet, has_report=not no_report, classical=classical)
    show_what_next(run, quiet)


def demo(
    task: Annotated[str, typer.Argument(metavar="[forecast|classify]", help="Which demo.", show_default=False)] = "forecast",
    out: Annotated[
        Path | None, typer.Option(metavar="RUN", help="The folder to make. [runs/demo-TASK, numbered]", show_default=False)
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(metavar="EPOCHS", help="At most so many passes. [inferred]", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(metavar="SEED", help="The seed of everything random. [0]", show_default=False)] = 0,
    quiet: Quiet = False,
) -> None:
    """Train on real data that ships with gatework: a minute or two.

    forecast: PM2.5 in Beijing, 24 hours ahead, from past air and weather.
    classify: which of nine speakers says a vowel.
    Example:  gatework demo
              gatework demo classify
    """
    from gatework.train import Request

    if task not in DEMOS:
        raise ConfigError(
            f"There is no demo '{task}'. {nearest(task, DEMOS)} Type: gatework demo {' or gatework demo '.join(DEMOS)}"
        )
    source, options = DEMOS[task]
    request = Request.model_validate({**options, "epochs": epochs, "seed": seed})
    run = train_in_view([source], request, out or free_folder(f"demo-{task}"), quiet)
    show_result(run, quiet, has_report=True)
    if not quiet:
        show.next_commands(
            [
                (f"gatework predict {run.path} {source} --out predictions.csv", "predict with it"),
                ("gatework look YOUR_FILE", "what is in your own data"),
                ("gatework train YOUR_FILE --target COLUMN", "the same for your own data"),
            ]
        )


def resume(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of an interrupted training.", show_default=False)],
    data: Annotated[
        list[str] | None, typer.Argument(metavar="[DATA]", help="The data, if it has moved since.", show_default=False)
    ] = None,
    quiet: Quiet = False,
    no_report: NoReport = False,
) -> None:
    """Finish an interrupted training, then score it as train does.

    The weights are those of a training without the interruption, bit for bit.
    Example:  gatework resume runs/data-load
    """
    from gatework.runs import Manifest, RunFolder
    from gatework.train import resume_run

    folder = RunFolder(run)
    if folder.read("run.json", Manifest).status in ("trained", "evaluated") and not quiet:
        show.say(f"The training of '{run}' is already finished; it is only scored again.")
    watch = EpochCounter(quiet)
    watch.last_epoch = len(folder.read_history()) if folder.has("history.jsonl") else 0
    try:
        resume_run(folder, source=source_of(data), watch=watch)
    except KeyboardInterrupt:
        raise stopped(folder, watch.last_epoch) from None
    show_result(folder, quiet, has_report=not no_report, data=data)
    show_what_next(folder, quiet)


class EpochCounter:
    """A watch that also remembers the last epoch, so that an interruption can name it."""

    def __init__(self, quiet: bool):
        from gatework.train.watch import Silent, default_watch

        self.inner: Watch = Silent() if quiet else default_watch()
        self.last_epoch = 0

    def note(self, text: str) -> None:
        """A sentence for the user."""
        self.inner.note(text)

    def batch(self, epoch: int, done: int, total: int) -> None:
        """One batch of an epoch is done."""
        self.inner.batch(epoch, done, total)

    def epoch(self, row: "HistoryRow") -> None:
        """One epoch is done."""
        self.last_epoch = row.epoch
        self.inner.epoch(row)

    def close(self) -> None:
        """Nothing more will come."""
        self.inner.close()


def train_in_view(data: list[str], request: "Request", out: Path | None, quiet: bool) -> "RunFolder":
    """Decide, show what was decided, train. An interruption says how to go on."""
    from gatework.cli.plan import show_plan
    from gatework.train import plan_run, train_model
    from gatework.train.run import new_folder

    source = source_of(data)
    plan, dataset = plan_run(source, request)
    folder = new_folder(out, source, plan.data)
    if not quiet:
        show_plan(plan, dataset)
        show.heading("The same in Python")
        show.code(request.as_python(data[0] if len(data) == 1 else str(data), str(folder.path)))
        show.heading("Training")
    del dataset
    watch = EpochCounter(quiet)
    existed = folder.path.exists()
    try:
        command = as_command("train", data, request, ("--out", str(folder.path)))
        return train_model(source, request, out=folder.path, watch=watch, command=command)
    except KeyboardInterrupt:
        raise stopped(folder, watch.last_epoch) from None
    except Exception:
        if watch.last_epoch == 0 and not existed:
            shutil.rmtree(folder.path, ignore_errors=True)  # nothing was learned that could be taken up again
        raise


def stopped(folder: "RunFolder", last_epoch: int) -> typer.Exit:
    """What to type after an interruption; the exit that carries its code."""
    from gatework.cli import INTERRUPTED

    if folder.has("run.json"):
        when = f"after epoch {last_epoch}" if last_epoch else "in the first epoch"
        show.aside(f"\nInterrupted {when}. Go on with: gatework resume {folder.path}")
    else:
        show.aside("\nInterrupted before the training began; nothing was written.")
    return typer.Exit(INTERRUPTED)


def show_result(
    run: "RunFolder", quiet: bool, *, has_report: bool, data: list[str] | None = None, classical: bool = False
) -> None:
    """Score the run, write its report, show the table and where everything is."""
    from gatework.cli.evaluation import show_evaluation
    from gatework.evaluate import evaluate_run

    evaluation = evaluate_run(run, source_of(data), classical=classical)
    report = write_it(run) if has_report else None
    show_evaluation(evaluation)
    if not quiet:
        show.heading("Saved")
        show.pairs([("run", str(run.path)), *([("report", f"{report} (open it in a browser)")] if report else [])])


def show_what_next(run: "RunFolder", quiet: bool) -> None:
    """What can be typed with a finished run."""
    if not quiet:
        path = shlex.quote(str(run.path))
        show.next_commands(
            [
                (f"gatework predict {path} NEW_DATA --out predictions.csv", "predict"),
                (f"gatework evaluate {path} NEW_DATA", "score on other data"),
                (f"gatework compare {path} OTHER_RUN", "beside another training"),
            ]
        )


def write_it(run: "RunFolder") -> Path:
    """The report of a run."""
    from gatework.report import write_report

    return write_report(run)


def source_of(data: list[str] | None) -> str | list[str] | None:
    """One source as a text, several as a list, none as None."""
    return data[0] if data and len(data) == 1 else data or None


def free_folder(name: str) -> Path:
    """`runs/NAME`, numbered when it exists."""
    number = 1
    while (path := Path("runs") / (name if number == 1 else f"{name}-{number}")).exists():
        number += 1
    return path
