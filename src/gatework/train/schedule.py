"""The learning rate of every step: a linear warm-up, then half a cosine down to zero (Loshchilov & Hutter 2017)."""

import math

WARMUP_SHARE = 0.1
"""Share of all steps spent warming up: before, AdamW's second moments are not to be trusted."""


def learning_rate(step: int, total_steps: int, peak: float) -> float:
    """The rate of one step.

    step: counted from 0. total_steps: of the whole training. peak: the largest rate.

    >>> [round(learning_rate(step, 10, 1.0), 2) for step in (0, 1, 5, 9)]
    [1.0, 0.99, 0.5, 0.01]
    >>> learning_rate(0, 100, 1.0)
    0.1
    """
    warmup = max(1, round(WARMUP_SHARE * total_steps))
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = (step - warmup + 0.5) / max(1, total_steps - warmup)
    return peak * 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))
