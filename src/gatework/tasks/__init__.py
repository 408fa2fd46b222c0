"""WHAT is asked: one file per task, one list that the command line, the docs and the tests loop over."""

from gatework.runs import Plan
from gatework.tasks.classify import Classify
from gatework.tasks.forecast import Forecast
from gatework.tasks.regress import Regress
from gatework.tasks.task import Task

TASKS: dict[str, type[Task]] = {"forecast": Forecast, "classify": Classify, "regress": Regress}

__all__ = ["TASKS", "Classify", "Forecast", "Regress", "Task", "planned_task"]


def planned_task(plan: Plan) -> Task:
    """The task that a plan asks for."""
    if plan.data.task == "forecast":
        return Forecast(plan.horizon, plan.window, plan.model, plan.period, plan.training.loss)
    if plan.data.task == "classify":
        return Classify(plan.model.pooling)
    return Regress(plan.model.pooling)
