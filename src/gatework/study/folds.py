"""Folds: every part of the data is the test part once.

Series as a whole, group by group or with the classes in equal shares; or stretches of time, purged and with an embargo (López
de Prado, "Advances in financial machine learning", 2018, chapter 7): nothing is trained on whose window reaches into the test.
"""

from collections import Counter
from itertools import pairwise

import numpy as np

from gatework.data.groups import group_column, groups_of
from gatework.data.series import IntArray, series_ids
from gatework.data.split import split_by_intervals, split_by_parts
from gatework.data.split_by_sequence import TEST, TRAIN, VALIDATION, labels_of
from gatework.data.table import Table
from gatework.errors import ConfigError, DataError
from gatework.runs import Bound, Interval, Plan
from gatework.runs.study import Folds, StudyJob
from gatework.study.backtest import Axis, axis_of, folder_of
from gatework.study.job import Planned, fitted_plan


def plan_folds(table: Table, plans: dict[str, Plan], wish: Folds, seed: int) -> list[Planned]:
    """The jobs of a study of folds: one for each fold and configuration.

    Raises ConfigError for an impossible wish; DataError for too few groups, or a fold that lacks a class.
    """
    first = next(iter(plans.values()))
    by = wish.by or {"forecast": "blocked", "classify": "stratified"}.get(first.data.task, "group")
    check_wish(wish, by, table)
    if by == "blocked":
        splits = [split_by_intervals(table, block, seed).record for block in blocks(axis_of(table), wish, plans)]
    else:
        parts = divide_whole(table, wish, by, first.split.validation, seed)
        column = group_column(table)
        note = f"Each value of '{column}' is in one part only." if column else ""
        wanted = first.split.model_copy(update={"kind": "stratified" if by == "stratified" else "group", "seed": seed})
        splits = [split_by_parts(table, wanted, each, [note] if note else []).record for each in parts]
    jobs = []
    for name, plan in plans.items():
        for number, split in enumerate(splits):
            folder = folder_of(name, "fold", number)
            job = StudyJob(folder=folder, model=folder, label=f"fold {number + 1}", variant=name, x=number + 1.0, seed=number)
            jobs.append(Planned(job, fitted_plan(plan, table, split), split))
    return jobs


def check_wish(wish: Folds, by: str, table: Table) -> None:
    """ConfigError for what means nothing."""
    if wish.k < 2:
        raise ConfigError(f"k is {wish.k}; expected at least 2 folds. Give --k 2 or more.")
    if wish.embargo < 0:
        raise ConfigError(f"embargo is {wish.embargo}; expected 0 steps or more. Give --embargo 0 or more.")
    if by == "blocked" and not table.is_forecast:
        raise ConfigError(
            "Folds by stretches of time were asked for, and each sequence has one answer. Such sequences are divided whole. "
            "Use --by stratified, or --by group."
        )
    if by == "stratified" and table.is_forecast:
        raise ConfigError(
            "Stratified folds were asked for, and a forecast has no classes. Expected blocked or group. Use --by blocked."
        )
    if by != "blocked" and wish.embargo:
        raise ConfigError(
            f"An embargo of {wish.embargo} steps was asked for, and these folds are of whole sequences. "
            f"Expected it with stretches of time only. Leave --embargo out, or use --by blocked."
        )


def blocks(axis: Axis, wish: Folds, plans: dict[str, Plan]) -> list[list[Interval]]:
    """The parts of each fold. What follows the test stretch so closely that a window reaches back into it is in no part."""
    horizon = max(plan.horizon for plan in plans.values())
    purge = max(plan.window for plan in plans.values()) + wish.embargo
    share = next(iter(plans.values())).split.validation
    edges = [round(axis.length * number / wish.k) for number in range(wish.k + 1)]
    if min(np.diff(edges)) < horizon or axis.length - max(np.diff(edges)) < purge + 3 * horizon:
        raise ConfigError(
            f"{wish.k} stretches of {axis.length} steps are {min(np.diff(edges))} steps long; expected at least a horizon of "
            f"{horizon} in each, and {purge + 3 * horizon} steps outside it: a window, the embargo, and what is trained and "
            f"validated on. Give fewer --k, or a smaller --window."
        )
    return [
        block(axis, begin, end, purge, max(horizon, round(share * (axis.length - end + begin)))) for begin, end in pairwise(edges)
    ]


def block(axis: Axis, begin: int, end: int, purge: int, validation: int) -> list[Interval]:
    """Test on [begin, end); train before it, and `purge` steps behind it; validate on the last stretch of what is trained on.

    That is at the end of the data where there is room behind the purge, else right before the test.
    """
    last, behind = Bound(share=1.0), axis.length - end - purge
    if behind < validation and begin <= validation:  # little on either side: half of what is behind validates
        validation = max(1, behind // 2)
    intervals: list[Interval] = []
    if behind >= validation:
        late = axis.bound(axis.length - validation)
        intervals += [Interval(part="train", begin=Bound(), end=axis.bound(begin))] if begin else []
        intervals += [Interval(part="train", begin=axis.bound(end), end=late), Interval(part="validation", begin=late, end=last)]
    else:
        early = axis.bound(begin - validation)
        intervals += [Interval(part="train", begin=Bound(), end=early)]
        intervals += [Interval(part="validation", begin=early, end=axis.bound(begin))]
        intervals += [Interval(part="train", begin=axis.bound(end), end=last)] if end < axis.length else []
    if end < axis.length:  # counted in each series' own steps, since some may be missing
        intervals.append(Interval(part=None, begin=axis.bound(end), end=axis.bound(end, purge)))
    return [*intervals, Interval(part="test", begin=axis.bound(begin), end=axis.bound(end))]


def divide_whole(table: Table, wish: Folds, by: str, validation: float, seed: int) -> list[np.ndarray]:
    """(num_sequences,) int8 parts of each fold; -1 for sequences without an answer."""
    labels = labels_of(table)
    names = groups_of(table) or series_ids(table)
    known = np.flatnonzero([label is not None for label in labels])
    groups = np.unique([names[index] for index in known], return_inverse=True)[1].astype(np.int64)
    classes = np.array([labels[index] for index in known])
    check_groups(table, groups, classes, wish, by)
    folds: list[np.ndarray] = []
    for test in assign(groups, classes, wish.k, by, seed):
        rest = np.flatnonzero(~test)
        inner = min(len(np.unique(groups[rest])), max(2, round(1 / validation)))
        held = assign(groups[rest], classes[rest], inner, by, seed + 1)[0]
        parts = np.full(len(labels), -1, dtype=np.int8)
        parts[known[test]] = TEST
        parts[known[rest]] = np.where(held, VALIDATION, TRAIN)
        check_classes(parts, labels, len(folds), table)
        folds.append(parts)
    return folds


def check_groups(table: Table, groups: IntArray, classes: np.ndarray, wish: Folds, by: str) -> None:
    """DataError when there are fewer groups than folds, and for a class that cannot be in every fold."""
    number = len(np.unique(groups))
    if number <= wish.k:
        column = group_column(table)
        what = f"values of '{column}'" if column else "sequences"
        raise DataError(
            f"{wish.k} folds were asked for, and the data has {number} {what} with a known target. "
            f"Expected more groups than folds, so that each fold has some to test, to validate and to train on. "
            f"Give fewer --k, or more data."
        )
    if by == "stratified":
        for label, count in Counter(classes.tolist()).items():
            if label and count < wish.k:
                raise DataError(
                    f"Class '{label}' has {count} sequences, and {wish.k} stratified folds were asked for. "
                    f"Expected at least one in each fold. "
                    f"Give --k {max(2, count)} or less, leave the class out, or use --by group."
                )


def check_classes(parts: np.ndarray, labels: list[str | None], fold: int, table: Table) -> None:
    """DataError when the test or the training part of a fold holds one class only."""
    if table.answers_steps or len(set(labels) - {None}) < 2:
        return
    for part, word in ((TEST, "test"), (TRAIN, "training")):
        found = {labels[index] for index in np.flatnonzero(parts == part)}
        if len(found) == 1:
            raise DataError(
                f"The {word} part of fold {fold + 1} has one class only, '{found.pop()}' of "
                f"'{table.named('target')[0].name}'. Expected at least two: nothing could be told apart. "
                f"Give fewer --k, another --seed, or --by stratified."
            )


def assign(groups: IntArray, classes: np.ndarray, k: int, by: str, seed: int) -> list[np.ndarray]:
    """k boolean masks: the members of each fold; no group is in two."""
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    splitter = (
        StratifiedGroupKFold(k, shuffle=True, random_state=seed)
        if by == "stratified"
        else GroupKFold(k, shuffle=True, random_state=seed)
    )
    masks = []
    for _, chosen in splitter.split(np.zeros((len(groups), 1)), classes, groups):
        mask = np.zeros(len(groups), dtype=bool)
        mask[chosen] = True
        masks.append(mask)
    return masks
