"""Why each choice was made that nobody asked for."""

from gatework.report.markup import Html, element, join
from gatework.report.section import Ingredients, pairs, paragraph


def write_reasons(given: Ingredients) -> Html:
    """Each inferred or defaulted choice with its reason, and the settings of the training."""
    plan, glossary = given.material.plan, given.glossary
    training = plan.training
    if plan.reasons:
        words = paragraph(glossary, "Whatever the command did not say was inferred from the data or set to a default.")
        said = join([words, pairs([(name.replace("_", " "), glossary.link(reason)) for name, reason in plan.reasons.items()])])
    else:
        said = paragraph(glossary, "Every choice was given; nothing was inferred.")
    settings = (
        f"Training used AdamW in batches of {training.batch_size}, with a learning rate of at most {training.learning_rate:g}, "
        f"a weight decay of {training.weight_decay:g}, a clipping limit of {training.clip_norm:g} and the seed {training.seed}."
    )
    return join([said, element("p", glossary.link(settings))])
