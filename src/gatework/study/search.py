"""Search: which options are best, by the validation part alone; the winner is then judged once on the test part.

Trials are chosen by Optuna's tree-structured Parzen estimator (Bergstra and others, 2011; Akiba and others, 2019), and ended
early when their validation loss stays above the median of the others at the same epoch. Several processes share one storage.
"""

import os
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gatework.config import make_request
from gatework.data.dataset import Dataset, Source
from gatework.data.split import make_split
from gatework.errors import ConfigError, GateworkError, MissingExtra, RunError, TrainingError
from gatework.runs import HistoryRow, Plan, RunFolder
from gatework.runs.study import STUDY, Search, StudyJob, StudyRecord, StudyResult
from gatework.study.job import Bench, Planned, read_fold
from gatework.study.space import Space, allows, default_space, planned_values, read_space, suggest
from gatework.study.trials import PLAN, is_of_plan, options_of, outcome_of, summarise_search
from gatework.study.workers import POLL_S, TRIES, end_with_parent, start
from gatework.train.plan import make_plan
from gatework.train.planning import divide, plan_table
from gatework.train.request import Request
from gatework.train.run import train_planned
from gatework.train.watch import Silent, Watch

if TYPE_CHECKING:
    import optuna.study
    import optuna.trial

NAME, BEST, TRIALS, JOURNAL = "gatework", "best", "trials", "trials.journal"
WARM_UP_EPOCHS = 1
WORKER = "import sys; from gatework.study.search import worker; sys.exit(worker(sys.argv[1]))"


class Ended(Exception):  # noqa: N818 - no error: a trial that need not go on
    """A trial that stays behind the others."""


def import_optuna() -> Any:
    """The package; MissingExtra names the command that installs it."""
    try:
        import optuna
    except ImportError as error:
        raise MissingExtra(
            "A search was asked for and optuna is not installed. Expected: optuna, which chooses the trials. "
            'Install it: pip install "gatework[search]".'
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def open_storage(folder: RunFolder, wish: Search) -> Any:
    """Where the trials are kept; ConfigError when it cannot be reached."""
    optuna = import_optuna()
    if wish.storage is None:
        from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

        path = str(folder.file(JOURNAL))
        return optuna.storages.JournalStorage(JournalFileBackend(path, lock_obj=JournalFileOpenLock(path)))
    try:
        return optuna.storages.RDBStorage(wish.storage)
    except Exception as error:  # each database has errors of its own
        raise ConfigError(
            f"The storage '{wish.storage}' cannot be reached: {str(error).splitlines()[0]}. Expected the URL of a database that "
            f"exists or can be made, and its driver. Give for example --storage sqlite:///trials.db, or leave it out."
        ) from error


def open_trials(folder: RunFolder, record: StudyRecord) -> "optuna.study.Study":
    """The trials of this study, those of other processes among them."""
    optuna, wish = import_optuna(), record.wish
    assert isinstance(wish, Search)
    seen = len(list(folder.path.glob(f"{TRIALS}/*"))) if folder.file(TRIALS).is_dir() else 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=optuna.exceptions.ExperimentalWarning)
        pruner = optuna.pruners.MedianPruner(n_warmup_steps=WARM_UP_EPOCHS) if wish.prune else optuna.pruners.NopPruner()
        # a process that joins later must not draw what an earlier one drew
        sampler = optuna.samplers.TPESampler(seed=(record.seed + 1000 * seen) % 2**32, multivariate=True, group=True)
        study: Any = optuna.create_study(
            storage=open_storage(folder, wish),
            study_name=NAME if wish.storage is None else f"{NAME} {folder.path}",
            sampler=sampler,
            pruner=pruner,
            load_if_exists=True,
        )
    return study  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Arena:
    """What every trial of one process has in common; the data is read and prepared once."""

    folder: RunFolder
    record: StudyRecord
    request: Request
    plan: Plan
    dataset: Dataset
    space: Space

    @classmethod
    def open(cls, folder: RunFolder, record: StudyRecord, request: Request) -> "Arena":
        """Read the data and decide what may be chosen."""
        assert isinstance(record.wish, Search)
        plan, table = plan_table(source_of(record), request)
        space = read_space(record.wish.space) if record.wish.space else default_space(plan, request)
        return cls(folder, record, request, plan, divide(plan, table, make_split(table, plan.split)), space)

    def plan_of(self, chosen: dict[str, object]) -> Plan:
        """The plan with some options chosen; ConfigError when they do not go together."""
        request = with_options(self.request, chosen)
        return make_plan(request, self.plan.data, self.dataset.table, dict(self.plan.reasons))

    def planned_inside(self) -> dict[str, object]:
        """What the plan has for the options of the space, where the space allows it."""
        planned = planned_values(self.plan, self.space)
        return {name: value for name, value in planned.items() if allows(self.space[name], value)}


def source_of(record: StudyRecord) -> Source:
    """The data as it was given."""
    return record.data[0] if len(record.data) == 1 else record.data


def with_options(request: Request, chosen: dict[str, object]) -> Request:
    """A request with some options set; ConfigError for a value that the option does not take."""
    return make_request({**request.said(), **chosen}, "in the search space", lambda name, value: f"{name} = {value}")


class Follows(Silent):
    """Reports each epoch to the trial, and ends it when it stays behind; the plan itself is trained to its end."""

    def __init__(self, trial: "optuna.Trial"):
        self.trial = trial
        self.may_end = not is_of_plan(trial)

    def epoch(self, row: HistoryRow) -> None:
        self.trial.report(row.validation_loss, row.epoch)
        if self.may_end and self.trial.should_prune():
            raise Ended


def enqueue_plan(arena: Arena, trials: "optuna.study.Study") -> None:
    """Let the plan itself be the next trial, unless it waits, is under way or done: no search ends with something worse.

    What it has outside the space is not offered to other trials.
    """
    own = [trial for trial in trials.get_trials(deepcopy=False) if is_of_plan(trial)]
    if any(trial.state.name != "FAIL" or "error" in trial.user_attrs for trial in own):
        return
    trials.enqueue_trial(arena.planned_inside(), user_attrs={PLAN: planned_values(arena.plan, arena.space)})


def plan_of_trial(arena: Arena, trial: "optuna.Trial") -> Plan:
    """What a trial trains: the plan of a training without a search, or one with the options that it chooses."""
    if not is_of_plan(trial):
        return arena.plan_of(suggest(trial, arena.space))
    suggest(trial, {name: arena.space[name] for name in arena.planned_inside()})  # the sampler learns from it, too
    return arena.plan


def run_trial(arena: Arena, trial: "optuna.Trial") -> float:
    """Train what the trial stands for: the best validation loss. Raises Ended when it was cut short."""
    trial.set_user_attr("pid", os.getpid())
    plan = plan_of_trial(arena, trial)
    folder = RunFolder(arena.folder.file(f"{TRIALS}/{trial.number:04d}"))
    try:
        train_planned(plan, arena.dataset, folder, Follows(trial), arena.record.command)
        return min(row.validation_loss for row in folder.read_history())
    finally:
        for name in ("checkpoint.safetensors", "model.safetensors"):  # the winner is trained again; its history tells the rest
            folder.file(name).unlink(missing_ok=True)


def work(arena: Arena, trials: "optuna.study.Study", deadline: float, tell: Callable[["optuna.trial.FrozenTrial"], None]) -> None:
    """Trials until there are enough, or the time is over; a trial that cannot be trained counts, and says why."""
    from optuna.trial import TrialState

    assert isinstance(arena.record.wish, Search)
    while time.time() < deadline and counted(trials) < arena.record.wish.trials:
        enqueue_plan(arena, trials)
        trial = trials.ask()
        try:
            value: float | None = run_trial(arena, trial)
            state = TrialState.COMPLETE
        except Ended:
            value, state = None, TrialState.PRUNED
        except (ConfigError, TrainingError) as error:
            trial.set_user_attr("error", str(error))
            value, state = None, TrialState.FAIL
        tell(trials.tell(trial, value, state))


def counted(trials: "optuna.study.Study") -> int:
    """Trials that are done or under way; those of a killed process are not."""
    every = trials.get_trials(deepcopy=False)
    return sum(trial.state.name in ("COMPLETE", "PRUNED", "RUNNING") or "error" in trial.user_attrs for trial in every)


def forget_killed(trials: "optuna.study.Study", pid: int | None = None) -> None:
    """Give up the trials of a process that is gone; of all processes when none is named."""
    from optuna.trial import TrialState

    for trial in trials.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if pid is None or trial.user_attrs.get("pid") == pid:
            trials.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)


def run_search(folder: RunFolder, record: StudyRecord, request: Request, processes: int, watch: Watch) -> StudyResult:
    """All trials, then the winner once more, judged on the test part."""
    assert isinstance(record.wish, Search)
    arena = Arena.open(folder, record, request)
    trials = open_trials(folder, record)
    forget_killed(trials)
    enqueue_plan(arena, trials)  # before several processes begin
    seconds = float("inf") if record.wish.minutes is None else 60.0 * record.wish.minutes - record.wall_time_s
    deadline = time.time() + seconds
    tell = teller(trials, record, watch)
    if processes == 1:
        work(arena, trials, deadline, tell)
    else:
        share_work(folder, trials, processes, deadline, watch, tell)
    forget_killed(trials)
    winner = best_trial(trials)
    chosen = {} if is_of_plan(winner) else dict(winner.params)
    job = StudyJob(folder=BEST, model=BEST, label=BEST)
    plan = arena.plan_of(chosen) if chosen else arena.plan
    Planned(job, plan, arena.dataset.split.record).write(folder)
    Bench(folder.path).run(job)
    return summarise_search(trials, read_fold(folder, job), with_options(request, chosen), record)


def best_trial(trials: "optuna.study.Study") -> "optuna.trial.FrozenTrial":
    """The trial with the lowest validation loss; TrainingError when no trial was finished."""
    done = [trial for trial in trials.get_trials(deepcopy=False) if trial.state.name == "COMPLETE"]
    if not done:
        why = next(
            (str(trial.user_attrs["error"]) for trial in trials.get_trials(deepcopy=False) if "error" in trial.user_attrs), ""
        )
        raise TrainingError(
            f"No trial of the search was finished{f'; the first says: {why}' if why else ' in its time'}. "
            f"Expected at least one. Give more --minutes or --trials, or another --space."
        )
    return min(done, key=lambda trial: (trial.value, trial.number))


def share_work(
    folder: RunFolder,
    trials: "optuna.study.Study",
    processes: int,
    deadline: float,
    watch: Watch,
    tell: Callable[["optuna.trial.FrozenTrial"], None],
) -> None:
    """Several processes on one storage. One that dies is started again; the others go on meanwhile."""
    folder.write_text("deadline", str(deadline))
    crew = {start(folder.path, [], processes, WORKER): 1 for _ in range(processes)}
    told = {trial.number for trial in trials.get_trials(deepcopy=False) if trial.state.is_finished()}
    try:
        while crew:
            time.sleep(10 * POLL_S)
            for process in [process for process in crew if process.poll() is not None]:
                number = crew.pop(process)
                _, err = process.communicate()
                if process.returncode == 0:
                    continue
                forget_killed(trials, process.pid)
                watch.note(f"A process of the search ended with code {process.returncode}.")
                if number >= TRIES and not crew:
                    raise RunError(
                        f"Every process of the search in '{folder.path}' ended too early: {err.strip()[-300:] or 'killed'}. "
                        f"Expected one to go on. Give fewer --processes and start the same search again: it goes on."
                    )
                if number < TRIES:
                    crew[start(folder.path, [], processes, WORKER)] = number + 1
            for trial in trials.get_trials(deepcopy=False):
                if trial.state.is_finished() and trial.number not in told:
                    told.add(trial.number)
                    tell(trial)
    finally:
        for process in crew:
            process.kill()
            process.communicate()
        folder.file("deadline").unlink(missing_ok=True)


def worker(study: str) -> int:
    """What a process of a search does: trials until there are enough."""
    import json

    end_with_parent()
    folder = RunFolder(study)
    try:
        record = folder.read(STUDY, StudyRecord)
        request = make_request(json.loads(record.variants[0].said), "in study.json", lambda name, value: f"{name} = {value}")
        arena = Arena.open(folder, record, request)
        work(arena, open_trials(folder, record), float(folder.read_text("deadline")), lambda trial: None)
    except GateworkError as error:
        sys.stderr.write(str(error))
        return 2
    return 0


def teller(trials: "optuna.study.Study", record: StudyRecord, watch: Watch) -> Callable[["optuna.trial.FrozenTrial"], None]:
    """Says one line for each trial."""
    assert isinstance(record.wish, Search)
    total = record.wish.trials

    def tell(trial: "optuna.trial.FrozenTrial") -> None:
        watch.note(f"trial {trial.number + 1} of {total}: {outcome_of(trial)} ({options_of(trial)})")

    return tell
