"""Probabilities that can be taken at their word: scores scaled and shifted, fitted on sequences that were not learned from.

temperature: one scale for all scores (Guo et al. 2017, section 4.2); the order of the classes stays.
platt: the scale and a shift for each class (Platt 1999 for two classes; Alexandari, Kundaje and Shrikumar 2020 for more): undoes
what class weights did to the frequencies, too.
"""

from dataclasses import dataclass

import numpy as np
import scipy.optimize
import scipy.special

from gatework.runs.decision import CalibrationName
from gatework.tasks.metrics.scores import Array, IntArray

SPREAD = 0.5
"""Standard deviation of scale and shifts around where they start: a few sequences move them little, hundreds freely."""

LEAST_SCALE = 0.01


@dataclass(frozen=True)
class Calibration:
    """scale: a positive number. shifts: (num_classes,)."""

    scale: float
    shifts: tuple[float, ...]

    def probabilities(self, scores: Array) -> Array:
        """(n, num_classes) scores of the network → probabilities, each row summing to 1."""
        return np.asarray(scipy.special.softmax(self.scale * scores.astype(np.float64) + np.asarray(self.shifts), axis=-1))


def fit_calibration(name: CalibrationName, scores: Array, truth: IntArray, class_weights: tuple[float, ...] = ()) -> Calibration:
    """The scale and shifts with the least log-loss on these sequences, held near where they start.

    scores: (n, num_classes). truth: (n,) class index, −1 unknown. class_weights: of the training's loss, (num_classes,) or empty:
    a loss with weights w makes probabilities proportional to w · p, so the shifts start at −ln w (Elkan 2001, section 2).
    The problem is convex: one solution.
    """
    known = truth >= 0
    rows, wanted = scores[known].astype(np.float64), truth[known]
    num_classes = scores.shape[1]
    start = np.zeros(1 + num_classes)
    start[0] = 1.0
    if class_weights and name == "platt":
        start[1:] = -np.log(np.asarray(class_weights))
    if name == "none" or not len(rows):
        return Calibration(1.0, (0.0,) * num_classes)
    is_hit = np.eye(num_classes)[wanted]

    def loss(point: Array) -> tuple[float, Array]:
        logits = point[0] * rows + point[1:]
        miss = scipy.special.softmax(logits, axis=1) - is_hit
        away = (point - start) / SPREAD
        value = -(scipy.special.log_softmax(logits, axis=1) * is_hit).sum() + 0.5 * (away**2).sum()
        slope = np.concatenate([[(miss * rows).sum()], miss.sum(0)]) + away / SPREAD
        if name == "temperature":
            slope[1:] = 0.0
        return float(value), slope

    bounds = [(LEAST_SCALE, None), *[(None, None)] * num_classes]
    found = scipy.optimize.minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
    return Calibration(float(found.x[0]), tuple(float(shift) for shift in found.x[1:]))
