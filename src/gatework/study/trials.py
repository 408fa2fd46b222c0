"""What a search found: the trials in their order of merit, what mattered, and the winner on the test part."""

import json
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gatework.config import request_to_toml
from gatework.runs.figures import DotsFigure, Line, LinesFigure
from gatework.runs.study import StudyRecord, StudyResult, StudyRow, StudyTable
from gatework.study.job import Fold
from gatework.study.show import heads
from gatework.train.request import Request

if TYPE_CHECKING:
    import optuna.study
    import optuna.trial

PLAN = "plan"
"""The attribute of the trial that is the plan of a training without a search: what that plan has for the options searched."""

SHOWN = 10
FEWEST = 8
"""Finished trials below which nothing is said about what mattered."""


def summarise_search(trials: "optuna.study.Study", best: Fold, request: Request, record: StudyRecord) -> StudyResult:
    """Tables of the best trials and of the winner, importances, the best options as TOML."""
    every = [trial for trial in trials.get_trials(deepcopy=False) if trial.state.is_finished()]
    done = sorted((trial for trial in every if trial.state.name == "COMPLETE"), key=lambda trial: (trial.value, trial.number))
    matters = importances(trials, record.seed) if len(done) >= FEWEST else {}
    figures = (progress_figure(every), *((importance_figure(matters),) if matters else ()))
    planned = next((trial.value for trial in done if is_of_plan(trial)), None)
    sentence = (
        f"Of {len(every)} trials ({ends_of(every)}) number {done[0].number + 1} "
        f"has the lowest validation loss, {done[0].value:.4f}"
    )
    if is_of_plan(done[0]):
        sentence += ": it is the plan of a training without a search, so that no option needs to be given"
    elif planned is not None:
        sentence += f", against {planned:.4f} of the plan without a search"
    metrics = best.evaluation.metrics
    winner = StudyTable(
        title="The best options, trained again and judged once on the test part",
        caption=f"95 % intervals: the bootstrap draws {best.evaluation.resampled}.",
        first="method",
        columns=heads(metrics),
        better=tuple(info.better for info in metrics),
        rows=tuple(
            StudyRow(name=row.name, kind=row.kind, cells=tuple(row.scores.get(info.name) for info in metrics))
            for row in best.evaluation.rows
        ),
    )
    return StudyResult(
        metrics=metrics,
        tables=(winner, table_of_trials(done)),
        figures=figures,
        verdict=(f"{sentence}.", *most_important(matters), *best.evaluation.verdict),
        notes=(
            *record.notes,
            "Options were chosen by the validation part alone; its loss flatters the winner, the test part does not.",
        ),
        settings=request_to_toml(request),
        run=best.job.folder,
    )


def is_of_plan(trial: "optuna.Trial | optuna.trial.FrozenTrial") -> bool:
    """Whether a trial is the plan of a training without a search."""
    return PLAN in trial.user_attrs


def chosen_by(trial: "optuna.trial.FrozenTrial") -> dict[str, object]:
    """What a trial chose; of the plan, what it has, in the space or outside it."""
    return dict(trial.user_attrs.get(PLAN, trial.params))


def outcome_of(trial: "optuna.trial.FrozenTrial") -> str:
    """How a trial ended."""
    if trial.state.name == "COMPLETE" and trial.value is not None:
        return f"validation loss {trial.value:.4f}"
    return "ended early" if trial.state.name == "PRUNED" else str(trial.user_attrs.get("error", "lost"))


def ends_of(trials: Sequence["optuna.trial.FrozenTrial"]) -> str:
    """How many trials ended in which way; those that failed or were interrupted only where there are any."""
    kinds = {"COMPLETE": "finished", "PRUNED": "ended early"}
    ends = [kinds.get(trial.state.name, "failed" if "error" in trial.user_attrs else "interrupted") for trial in trials]
    always = tuple(kinds.values())
    return ", ".join(f"{ends.count(end)} {end}" for end in (*always, "failed", "interrupted") if end in always or end in ends)


def options_of(trial: "optuna.trial.FrozenTrial") -> str:
    """What a trial chose, in a line."""
    chosen = ", ".join(f"{name} {written(value)}" for name, value in chosen_by(trial).items())
    return f"the plan without a search: {chosen}" if is_of_plan(trial) else chosen


def written(value: object) -> str:
    """A value of an option."""
    return f"{value:.3g}" if isinstance(value, float) else json.dumps(value).strip('"')


def importances(trials: "optuna.study.Study", seed: int) -> dict[str, float]:
    """The share of the loss's variance over the space that each option explains.

    Hutter, Hoos and Leyton-Brown, "An efficient approach for assessing hyperparameter importance", 2014 (functional ANOVA).
    """
    import optuna

    every = trials.get_trials(deepcopy=False)
    if any(is_of_plan(trial) and len(trial.params) < len(chosen_by(trial)) for trial in every):
        # what the plan has outside the space is in no other trial: without it, all options are in every trial
        trials = optuna.create_study()
        trials.add_trials([trial for trial in every if not is_of_plan(trial)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=optuna.exceptions.ExperimentalWarning)
        try:
            found = optuna.importance.get_param_importances(
                trials, evaluator=optuna.importance.FanovaImportanceEvaluator(seed=seed)
            )
        except (ValueError, RuntimeError):  # all losses equal, or no option that every trial chose: nothing can be said
            return {}
    return {name: float(share) for name, share in found.items()}


def most_important(matters: dict[str, float]) -> tuple[str, ...]:
    """What mattered, in a sentence."""
    if not matters:
        return ()
    first = sorted(matters, key=lambda name: -matters[name])[:3]
    return (f"What mattered most: {', '.join(f'{name} ({matters[name]:.0%})' for name in first)} of the differences in loss.",)


def table_of_trials(done: list["optuna.trial.FrozenTrial"]) -> StudyTable:
    """The best trials and what they chose."""
    names = list(dict.fromkeys(name for trial in done for name in chosen_by(trial)))
    rows = tuple(
        StudyRow(
            name=f"{trial.number + 1} (the plan)" if is_of_plan(trial) else str(trial.number + 1),
            cells=(f"{trial.value:.4f}", *(written(chosen_by(trial)[name]) for name in names)),
        )
        for trial in done[:SHOWN]
    )
    return StudyTable(
        title=f"The best {min(SHOWN, len(done))} of {len(done)} finished trials",
        first="trial",
        columns=("validation loss", *names),
        rows=rows,
    )


def progress_figure(every: list["optuna.trial.FrozenTrial"]) -> LinesFigure:
    """Each trial's loss, and the best so far."""
    values = [trial.value if trial.state.name == "COMPLETE" else None for trial in every]
    best: list[float | None] = []
    for value in values:
        known = [each for each in (value, best[-1] if best else None) if each is not None]
        best.append(min(known) if known else None)
    return LinesFigure(
        name="trials",
        title="Validation loss, trial by trial",
        caption="A gap is a trial that was ended early or failed.",
        x_label="trial",
        y_label="validation loss",
        x=tuple(float(trial.number + 1) for trial in every),
        lines=(Line(name="best so far", y=tuple(best)), Line(name="trial", y=tuple(values), style="history")),
    )


def importance_figure(matters: dict[str, float]) -> DotsFigure:
    """One row for each option, the most important first."""
    order = sorted(matters, key=lambda name: -matters[name])
    return DotsFigure(
        name="importance",
        title="What mattered",
        caption="The share of the differences in validation loss that each option explains (functional ANOVA).",
        x_label="share of the differences",
        labels=tuple(order),
        lines=(Line(name="", y=tuple(matters[name] for name in order)),),
    )
