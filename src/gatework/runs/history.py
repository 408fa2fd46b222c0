"""What a training leaves behind: history.jsonl, a line an epoch, and run.json, what produced the folder."""

from typing import Literal

from gatework.runs.record import SCHEMA_VERSION, Record


class HistoryRow(Record):
    """One line of history.jsonl: one epoch.

    gradient_norm: median over the steps of the epoch, before clipping. clip_rate: share of steps that were clipped, 0–1.
    saturated_share: share of gate values below 0.1 or above 0.9, 0–1. dead_units: hidden units whose output hardly moves.
    reach_steps: the lag within which 99 % of the gradient of the prediction with respect to the input lies.
    train_loss: as it was trained, dropout on, mean over the epoch. fitted_loss: on a sample of the training part after the epoch,
    measured as validation_loss is, dropout off: their difference is the generalisation gap. None in older runs.
    """

    epoch: int
    train_loss: float
    validation_loss: float
    learning_rate: float
    gradient_norm: float
    clip_rate: float
    saturated_share: float | None = None
    dead_units: int | None = None
    reach_steps: int | None = None
    fitted_loss: float | None = None
    is_best: bool
    elapsed_s: float


class SourceFile(Record):
    """One input file as it was when it was read."""

    path: str
    sha256: str
    size_bytes: int


class Manifest(Record):
    """run.json: what produced this folder. files: sha256 of each finished file by name. wall_time_s: seconds per stage."""

    schema_version: int = SCHEMA_VERSION
    gatework: str
    python: str
    torch: str
    platform: str
    status: Literal["planned", "training", "trained", "evaluated"]
    command: str = ""
    seed: int
    started_at: str
    wall_time_s: dict[str, float] = {}
    sources: tuple[SourceFile, ...] = ()
    files: dict[str, str] = {}
    num_parameters: int = 0
    notes: tuple[str, ...] = ()
