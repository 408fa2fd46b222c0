"""One training: plan, loop, checkpoint, resume."""

from gatework.train.plan import make_plan
from gatework.train.planning import plan_run
from gatework.train.request import Request
from gatework.train.run import resume_run, train_model

__all__ = ["Request", "make_plan", "plan_run", "resume_run", "train_model"]
