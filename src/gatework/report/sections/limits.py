"""What these numbers do not say, and what the stages noted."""

from gatework.report.markup import Html, element, join
from gatework.report.section import Ingredients, bullets
from gatework.runs import CLASS_TASKS, STEP_TASKS, Evaluation, Plan

FEW_SAMPLES = 30


def write_limits(given: Ingredients) -> Html:
    """The limits of the scores, then the notes of the run."""
    material, glossary = given.material, given.glossary
    parts = [bullets([glossary.link(limit) for limit in limits_of(material.plan, material.evaluation)])]
    shown = {*material.split.notes, *material.preparation_notes}
    notes = [*(material.evaluation.notes if material.evaluation else ()), *material.manifest.notes]
    remaining = [note for note in dict.fromkeys(notes) if note not in shown]
    if remaining:
        parts += [element("h3", "Notes of this run"), bullets([glossary.link(note) for note in remaining])]
    return join(parts)


def limits_of(plan: Plan, evaluation: Evaluation | None) -> list[str]:
    """What a reader must not conclude from this report, one sentence or two each."""
    limits = ["This is one training with one seed. The intervals do not show how much the scores change with another seed."]
    if evaluation is not None and evaluation.num_samples < FEW_SAMPLES:
        limits.append(
            f"Only {evaluation.num_samples} samples were scored; the intervals are rough, and so is the order of the methods."
        )
    if plan.data.task == "forecast":
        limits.append("The scores are those of the test period. They hold for a future that is like it, and not beyond.")
        limits.append("Each forecast is a single value; it does not say how sure it is.")
        if not any(field.role == "known_future" for field in plan.data.fields):
            limits.append(
                "All columns are taken as unknown ahead. If some are known, such as a timetable, name them with --known-future."
            )
    elif plan.data.task == "anomaly":
        limits.append(
            "An alarm says that a stretch is unlike the training part, not that it is bad; a fault that was usual there is none."
        )
        limits.append(
            "The budget of false alarms holds for data like the validation part; when the normal state changes, train again."
        )
    elif plan.split.kind == "stratified":
        limits.append(
            "Sequences of the same person, machine or place may be in the training part and in the test part. If the model "
            "shall serve new ones, divide by group: the scores will be lower and more honest."
        )
    if plan.data.task in CLASS_TASKS:
        what = "step" if plan.data.task in STEP_TASKS else "sequence"
        limits.append(f"The classes are those of the training part; a {what} of any other kind is still given one of them.")
    if plan.data.task in STEP_TASKS and plan.model.bidirectional:
        limits.append("Each answer looks ahead at later steps: the scores are not those of answers given as the steps arrive.")
    if any(field.missing != "drop" and field.role in ("past", "known_future", "target") for field in plan.data.fields):
        limits.append("Missing inputs were filled as the table of columns says; missing targets were not scored.")
    limits.append("The model finds what goes together, not what causes what.")
    return limits
