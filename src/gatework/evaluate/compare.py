"""Several runs side by side."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from gatework.errors import ConfigError
from gatework.runs import Evaluation, Manifest, Plan, RunFolder, Score, SplitRecord


@dataclass(frozen=True)
class Comparison:
    """metrics: names, the leading one first. rows: (run, its model's scores). notes: why a comparison may not be fair."""

    metrics: tuple[str, ...]
    rows: list[tuple[str, dict[str, Score]]]
    notes: tuple[str, ...]


def compare_runs(runs: Sequence[RunFolder | Path | str]) -> Comparison:
    """The models of evaluated runs, best first on the leading metric.

    Raises ConfigError when the runs answer different questions; RunError when one is not evaluated.
    """
    folders = [run if isinstance(run, RunFolder) else RunFolder(run) for run in runs]
    evaluations = [folder.read("evaluation.json", Evaluation) for folder in folders]
    tasks = {evaluation.task for evaluation in evaluations}
    if len(tasks) != 1:
        raise ConfigError(
            f"The runs answer different questions: {', '.join(sorted(tasks))}. Expected runs of one task. "
            f"Compare those of one task."
        )
    plans = [folder.read("config.json", Plan) for folder in folders]
    shared = [info.name for info in evaluations[0].metrics if all(info.name in row_of(other) for other in evaluations)]
    rows = [(str(folder.path), row_of(evaluation)) for folder, evaluation in zip(folders, evaluations, strict=True)]
    lead = evaluations[0].metrics[0]
    sign = 1.0 if lead.better == "lower" else -1.0
    rows.sort(key=lambda row: sign * value if (value := row[1][lead.name].value) is not None else float("inf"))
    return Comparison(tuple(shared), rows, tuple(fairness_notes(folders, plans, evaluations)))


def row_of(evaluation: Evaluation) -> dict[str, Score]:
    """The scores of the model."""
    return next(row.scores for row in evaluation.rows if row.kind == "model")


def fairness_notes(folders: list[RunFolder], plans: list[Plan], evaluations: list[Evaluation]) -> list[str]:
    """What differs between the runs besides the model."""
    notes = []
    hashes = {tuple(source.sha256 for source in folder.read("run.json", Manifest).sources) for folder in folders}
    if len(hashes) > 1:
        notes.append("The runs were trained on different data files; their numbers cannot be compared directly.")
    splits = [folder.read("split.json", SplitRecord) for folder in folders]
    checks: dict[str, Collection[object]] = {
        "targets": {plan.data.targets for plan in plans},
        "horizons": {plan.horizon for plan in plans},
        "splits": {split.model_dump_json(exclude={"seed", "notes"}) for split in splits},
        "numbers of judged samples": {evaluation.num_samples for evaluation in evaluations},
    }
    notes += [f"The runs have different {what}." for what, values in checks.items() if len(values) > 1]
    return notes
