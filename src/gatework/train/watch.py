"""Who is told about a running training: nobody, plain lines, or a terminal with a progress bar."""

import sys
from typing import Any, Protocol

from gatework.runs import HistoryRow

COLUMNS = ("epoch", "train loss", "valid loss", "grad norm", "clipped", "saturated", "dead", "reach", "seconds", "")


class Watch(Protocol):
    """What the training loop tells while it runs."""

    def note(self, text: str) -> None:
        """A sentence for the user."""

    def batch(self, epoch: int, done: int, total: int) -> None:
        """One batch of an epoch is done."""

    def epoch(self, row: HistoryRow) -> None:
        """One epoch is done."""

    def close(self) -> None:
        """Nothing more will come."""


def cells_of(row: HistoryRow) -> tuple[str, ...]:
    """One epoch as the texts of a table row, in the order of `COLUMNS`."""

    def share(value: float | None) -> str:
        return "–" if value is None else f"{value:.0%}"

    def count(value: int | None) -> str:
        return "–" if value is None else str(value)

    return (
        str(row.epoch),
        f"{row.train_loss:.4f}",
        f"{row.validation_loss:.4f}",
        f"{row.gradient_norm:.3g}",
        share(row.clip_rate),
        share(row.saturated_share),
        count(row.dead_units),
        count(row.reach_steps),
        f"{row.elapsed_s:.1f}",
        "best" if row.is_best else "",
    )


def as_line(texts: tuple[str, ...]) -> str:
    """Texts as one line of fixed columns."""
    return "  ".join(text.rjust(max(len(name), 5)) for text, name in zip(texts, COLUMNS, strict=True)).rstrip()


class Silent:
    """Says nothing."""

    def note(self, text: str) -> None: ...

    def batch(self, epoch: int, done: int, total: int) -> None: ...

    def epoch(self, row: HistoryRow) -> None: ...

    def close(self) -> None: ...


class PlainLines:
    """One line per epoch on standard error: for logs and pipes."""

    def __init__(self) -> None:
        self._has_header = False

    def note(self, text: str) -> None:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()

    def batch(self, epoch: int, done: int, total: int) -> None: ...

    def epoch(self, row: HistoryRow) -> None:
        if not self._has_header:
            self.note(as_line(COLUMNS))
            self._has_header = True
        self.note(as_line(cells_of(row)))

    def close(self) -> None: ...


class Terminal:
    """The same lines above a progress bar, for a person at a terminal."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("epoch {task.fields[epoch]}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
            transient=True, console=Console(stderr=True),
        )  # fmt: skip
        self._task: Any = None
        self._has_header = False

    def note(self, text: str) -> None:
        self._progress.console.print(text, markup=False, highlight=False)

    def batch(self, epoch: int, done: int, total: int) -> None:
        if self._task is None:
            self._progress.start()
            self._task = self._progress.add_task("training", total=total, epoch=epoch)
        self._progress.update(self._task, completed=done, total=total, epoch=epoch)

    def epoch(self, row: HistoryRow) -> None:
        if not self._has_header:
            self._progress.console.print(as_line(COLUMNS), style="bold", markup=False, highlight=False)
            self._has_header = True
        style = "green" if row.is_best else None
        self._progress.console.print(as_line(cells_of(row)), style=style, markup=False, highlight=False)

    def close(self) -> None:
        self._progress.stop()


def default_watch() -> Watch:
    """A progress bar when standard error is a terminal, plain lines when it is none."""
    return Terminal() if sys.stderr.isatty() else PlainLines()
