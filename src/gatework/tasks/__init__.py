"""WHAT is asked: one file per task, one list that the command line, the docs and the tests loop over."""

from gatework.runs import CLASS_TASKS, Plan, RunFolder
from gatework.runs.decision import DECISION, Decision
from gatework.tasks.anomaly import Anomaly
from gatework.tasks.classify import Classify
from gatework.tasks.classify_steps import ClassifySteps
from gatework.tasks.forecast import Forecast
from gatework.tasks.regress import Regress
from gatework.tasks.regress_steps import RegressSteps
from gatework.tasks.task import Task

TASKS: dict[str, type[Task]] = {
    "anomaly": Anomaly,
    "forecast": Forecast,
    "classify": Classify,
    "regress": Regress,
    "classify_steps": ClassifySteps,
    "regress_steps": RegressSteps,
}

__all__ = ["TASKS", "Anomaly", "Classify", "ClassifySteps", "Forecast", "Regress", "RegressSteps", "Task", "planned_task"]


def planned_task(plan: Plan, folder: RunFolder | None = None) -> Task:
    """The task that a plan asks for; folder: of a trained run, whose decision.json is then part of the task."""
    if plan.data.task == "forecast":
        return Forecast(plan.horizon, plan.window, plan.model, plan.period, plan.training.loss, plan.ranges)
    if plan.data.task == "anomaly":
        assert plan.anomaly is not None
        return Anomaly(plan.anomaly, plan.horizon, plan.window)
    if plan.data.task in CLASS_TASKS:
        fitted = folder.read(DECISION, Decision) if folder is not None and folder.has(DECISION) else None
        whole = Classify.planned(plan, fitted)
        return whole if plan.data.task == "classify" else ClassifySteps(plan.window, plan.piece, whole)
    if plan.data.task == "regress_steps":
        return RegressSteps(plan.window, plan.piece)
    return Regress(plan.model.pooling, plan.ranges)
