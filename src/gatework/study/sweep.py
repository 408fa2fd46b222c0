"""Sweep: one option at a time, with the error on the training part beside that on the validation part.

Training error far below validation error: overfitting. Both high: underfitting. The test part is not looked at.
"""

from gatework.data.split import make_split
from gatework.data.table import Table
from gatework.errors import ConfigError, nearest
from gatework.runs import MetricInfo, ModelPlan, Plan, RunFolder, Score, TrainingPlan
from gatework.runs.study import RangesFigure, StudyJob, StudyRecord, StudyResult, StudyRow, StudyTable, Sweep
from gatework.study.job import Fold, Planned
from gatework.study.show import heads, range_series

USUAL: dict[str, tuple[float, ...]] = {
    "dropout": (0.0, 0.2, 0.4, 0.6),
    "zoneout": (0.0, 0.05, 0.1, 0.2),
    "weight_decay": (0.0, 1e-3, 1e-2, 1e-1),
    "clip_norm": (0.1, 0.3, 1.0, 3.0),
    "num_layers": (1, 2, 3),
}
AROUND = {
    "hidden_size": (0.25, 0.5, 1, 2, 4),
    "window": (0.5, 1, 2),
    "batch_size": (0.5, 1, 2),
    "learning_rate": (0.25, 0.5, 1, 2),
}
"""Options whose usual values are the plan's own times these."""

BASE = "base"


def plan_sweep(table: Table, plans: dict[str, Plan], wish: Sweep, seed: int) -> list[Planned]:
    """The jobs of a sweep: one training for each value, judged on the validation and on the training part."""
    plan = next(iter(plans.values()))
    split = make_split(table, plan.split).record
    check_wish(wish, plan)
    jobs, known = [], set()
    for option in wish.options:
        for value in values_of(option, wish, plan):
            folder = BASE if value == value_in(plan, option) else f"{option}-{value:g}"
            label = "as planned" if folder == BASE else f"{option} {value:g}"
            if folder in known:
                continue
            known.add(folder)
            changed = with_value(plan, option, value)
            job = StudyJob(folder=folder, model=folder, label=label, part="validation", variant=option, x=float(value))
            train = job.model_copy(update={"folder": f"{folder}/train", "part": "train"})
            jobs += [Planned(job, changed, split), Planned(train, changed, split)]
    return jobs


def check_wish(wish: Sweep, plan: Plan) -> None:
    """ConfigError for an option that cannot be swept."""
    known = [name for name in (*USUAL, *AROUND) if has_option(plan, name)]
    for option in (*wish.options, *wish.values):
        if option not in known:
            raise ConfigError(
                f"The option '{option}' was to be swept; expected one of {', '.join(known)}. {nearest(option, known)} "
                f"Give for example --option dropout."
            )
    if not wish.options:
        raise ConfigError(
            f"No option was given to sweep; expected some of {', '.join(known)}. Give for example --option dropout."
        )


def has_option(plan: Plan, name: str) -> bool:
    """Whether a plan has a number of that name."""
    if name == "window":
        return plan.data.task == "forecast"
    return name in ModelPlan.model_fields or name in TrainingPlan.model_fields


def value_in(plan: Plan, name: str) -> float:
    """The number that a plan has."""
    where = plan if name == "window" else plan.model if name in ModelPlan.model_fields else plan.training
    value = getattr(where, name)
    return float(value)


def with_value(plan: Plan, name: str, value: float) -> Plan:
    """The plan with one number changed; whole where it is a whole number. Raises ConfigError when it is out of range."""
    where = plan if name == "window" else plan.model if name in ModelPlan.model_fields else plan.training
    is_whole = isinstance(getattr(where, name), int)
    in_range = value >= 1 if is_whole else 0 <= value < (1 if name in ("dropout", "zoneout") else float("inf"))
    if not in_range or (is_whole and value != round(value)) or (value == 0 and name in ("clip_norm", "learning_rate")):
        raise ConfigError(
            f"{name} is {value:g} in the sweep; expected {'a whole number, 1 or more' if is_whole else 'a number in its range'}. "
            f"Give for example --option {name}={','.join(f'{usual:g}' for usual in usual_values(name, plan))}."
        )
    changes = {name: int(value) if is_whole else float(value)}
    if where is plan:
        return plan.model_copy(update=changes)
    key = "model" if where is plan.model else "training"
    return plan.model_copy(update={key: where.model_copy(update=changes)})


def usual_values(name: str, plan: Plan) -> tuple[float, ...]:
    """What is tried when nothing else was said."""
    if name in USUAL:
        return USUAL[name]
    own = value_in(plan, name)
    is_whole = name != "learning_rate"
    return tuple(dict.fromkeys(max(1, round(own * factor)) if is_whole else own * factor for factor in AROUND[name]))


def values_of(option: str, wish: Sweep, plan: Plan) -> tuple[float, ...]:
    """The values of one option in their order, the planned one among them."""
    return tuple(sorted({*(wish.values.get(option) or usual_values(option, plan)), value_in(plan, option)}))


def summarise_sweep(study: RunFolder, record: StudyRecord, folds: list[Fold]) -> StudyResult:
    """A table and a figure for each option: the leading metric on training and validation part."""
    assert isinstance(record.wish, Sweep)
    by_folder = {fold.job.folder: fold for fold in folds}
    plan = RunFolder(study.file(folds[0].job.model)).read("config.json", Plan)
    base = RunFolder(study.file(BASE)).read("config.json", Plan) if BASE in by_folder else plan
    lead = folds[0].evaluation.metrics[0]
    tables, figures, verdict = [], [], []
    for option in record.wish.options:
        values = values_of(option, record.wish, base)
        names = [BASE if value == value_in(base, option) else f"{option}-{value:g}" for value in values]
        validation = [score_in(by_folder[name], lead) for name in names]
        train = [score_in(by_folder[f"{name}/train"], lead) for name in names]
        tables.append(table_of(option, values, validation, train, lead))
        figures.append(figure_of(option, values, validation, train, lead))
        verdict.append(sentence_of(option, values, validation, value_in(base, option), lead))
    return StudyResult(
        metrics=folds[0].evaluation.metrics,
        tables=tuple(tables),
        figures=tuple(figures),
        verdict=tuple(verdict),
        notes=(*record.notes, "The test part was not looked at: choose here, then train and judge once."),
    )


def score_in(fold: Fold, lead: MetricInfo) -> Score:
    """The model's score."""
    return fold.evaluation.rows[0].scores[lead.name]


def table_of(option: str, values: tuple[float, ...], validation: list[Score], train: list[Score], lead: MetricInfo) -> StudyTable:
    """One row for each value."""
    return StudyTable(
        title=f"{option}: {heads([lead])[0]}",
        first=option,
        columns=("training part", "validation part"),
        better=("", lead.better),
        rows=tuple(
            StudyRow(name=f"{value:g}", cells=(one, other)) for value, one, other in zip(values, train, validation, strict=True)
        ),
    )


def figure_of(
    option: str, values: tuple[float, ...], validation: list[Score], train: list[Score], lead: MetricInfo
) -> RangesFigure:
    """Training and validation score against the value."""
    return RangesFigure(
        name=f"sweep-{option}",
        title=f"{lead.name} against {option}",
        caption="Validation far from training: overfitting. Both poor: underfitting. 95 % intervals of each part.",
        x_label=option,
        y_label=heads([lead])[0],
        x=tuple(f"{value:g}" for value in values),
        series=(range_series("validation part", validation), range_series("training part", train, "history")),
        is_joined=True,
    )


def sentence_of(option: str, values: tuple[float, ...], scores: list[Score], planned: float, lead: MetricInfo) -> str:
    """Which value is best on the validation part, and whether it matters."""
    known = [(score.value, value, score) for value, score in zip(values, scores, strict=True) if score.value is not None]
    if not known:
        return f"{option}: {lead.name} is not defined."
    best = (min if lead.better == "lower" else max)(known, key=lambda each: each[0])
    own = next((each for each in known if each[1] == planned), best)
    if best[1] == planned:
        return f"{option}: the planned {planned:g} is the best of those tried."
    low, high = best[2].low, best[2].high
    is_within = low is not None and high is not None and low <= own[0] <= high
    doubt = "; the planned value lies within its interval, so it may be chance" if is_within else ""
    return f"{option}: {best[1]:g} is best with {best[0]:.4g} against {own[0]:.4g} as planned ({planned:g}){doubt}."
