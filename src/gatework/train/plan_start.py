"""What is decided otherwise where a training starts from the weights of another run."""

from gatework.errors import ConfigError
from gatework.runs import DataPlan, ModelPlan, TrainingPlan
from gatework.train.choices import Choices
from gatework.train.request import Request
from gatework.train.start import Start, read_start

RATE_AFTER = 5e-4
"""The learning rate of a training that starts from trained weights."""

FREE_TO_CHANGE = ("dropout", "zoneout", "input_dropout")
"""What a continued training may have otherwise than the old one: it has no weights."""


def plan_start(request: Request, data: DataPlan) -> Start | None:
    """The run to start from, or None. Raises ConfigError when it cannot be started from; RunError when it is damaged."""
    if request.init_from is not None:
        start = read_start(request.init_from)
        check_start(start, data.task, len(data.targets))
        return start
    for name in ("freeze", "keep_scales"):
        if getattr(request, name):
            raise ConfigError(
                f"--{name.replace('_', '-')} was given without a run to start from. Expected both or neither. "
                f"Name that run with --init-from, or leave --{name.replace('_', '-')} out."
            )
    return None


def lengths_like(request: Request, start: Start, choices: Choices) -> Request:
    """Horizon, window and season of the old run where none are asked for."""
    found: dict[str, object] = {}
    for name, place in (("horizon", "horizon"), ("window", "window"), ("season", "period")):
        old = getattr(start.plan, place)
        if getattr(request, name) is None and old:
            found[name] = choices.pick(name, None, old, f"as in '{start.path}', whose weights this training starts from")
    return request.model_copy(update=found)


def rate_after(request: Request, choices: Choices) -> Request:
    """A smaller learning rate where trained weights go on learning."""
    if request.learning_rate is not None or request.freeze:
        return request
    why = "a quarter of the usual one, so that what was learned before is not unlearned"
    return request.model_copy(update={"learning_rate": choices.pick("learning_rate", None, RATE_AFTER, why)})


def from_start(
    model: ModelPlan, training: TrainingPlan, request: Request, start: Start, choices: Choices
) -> tuple[ModelPlan, TrainingPlan]:
    """The old run's network, and where its weights come from."""
    asked = {name: value for name, value in request.said().items() if name in ModelPlan.model_fields}
    for name in ModelPlan.model_fields:
        choices.reasons.pop(name, None)
    choices.reasons["network"] = f"that of '{start.path}', whose weights this training starts from"
    if not request.keep_scales:
        choices.reasons["scales"] = "fitted on this data's training part, since levels differ from series to series"
    came = {"init_from": start.path, "init_sha256": start.sha256}
    ways = {"freeze": bool(request.freeze), "keep_scales": bool(request.keep_scales)}
    return model_like(model, asked, start), training.model_copy(update={**came, **ways})


def model_like(model: ModelPlan, asked: dict[str, object], start: Start) -> ModelPlan:
    """The old run's network, with what may be changed as it is planned now.

    asked: what the user said. Raises ConfigError when that is another network.
    """
    for name, value in asked.items():
        old = getattr(start.plan.model, name, value)
        if name not in FREE_TO_CHANGE and old != value:
            raise ConfigError(
                f"{name} is {value}, but '{start.path}' has {name} {old}, and its weights fit no other network. "
                f"Expected the network of the run to start from. Leave --{name.replace('_', '-')} out, or --init-from."
            )
    free = {name: getattr(model, name) for name in FREE_TO_CHANGE if name in asked}
    return start.plan.model.model_copy(update=free)


def check_start(start: Start, task: str, num_targets: int) -> None:
    """ConfigError when the old run answered another kind of question."""
    old = start.plan.data
    if old.task != task:
        raise ConfigError(
            f"'{start.path}' is a run of the task {old.task}; this training is one of {task}. "
            f"Expected the same task in both. Start from a run of {task}, or leave --init-from out."
        )
    if task == "forecast" and len(old.targets) != num_targets:
        raise ConfigError(
            f"'{start.path}' forecasts {len(old.targets)} targets ({', '.join(old.targets)}); this training has {num_targets}. "
            f"Expected as many targets in both. Name as many with --target, or leave --init-from out."
        )
