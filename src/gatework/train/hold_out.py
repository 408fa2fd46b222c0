"""Which windows of the validation part choose the best epoch, and which measure the errors that ranges rest on."""

import numpy as np

from gatework.data.dataset import Dataset
from gatework.data.samples import ForecastSamples
from gatework.errors import ConfigError
from gatework.model import Ensemble, SequenceModel, network_outputs
from gatework.runs import Plan
from gatework.tasks import planned_task
from gatework.tasks.judge_forecast import forecast_clock
from gatework.tasks.range_calibration import RangeCalibration
from gatework.tasks.task import Samples, Task


def validation_samples(plan: Plan, dataset: Dataset) -> tuple[Samples, Samples]:
    """The windows that choose the epoch, and those that calibrate ranges.

    They are the same ones, or with a `calibration_share` the earlier and the later ones, with a horizon between them, so that no
    truth is in both. Raises ConfigError when one of the two would be empty.
    """
    samples = planned_task(plan).samples(dataset.prepared, dataset.split, "validation")
    share = plan.ranges.calibration_share
    if not share or not isinstance(samples, ForecastSamples):
        return samples, samples
    clock = forecast_clock(samples)
    first = np.quantile(clock, 1.0 - share)
    choosing, calibrating = np.flatnonzero(clock <= first - samples.horizon), np.flatnonzero(clock >= first)
    if not len(choosing) or not len(calibrating):
        raise ConfigError(
            f"--calibration-share {share:g} divides {len(samples)} validation windows into {len(choosing)} and "
            f"{len(calibrating)}. Expected some for choosing the epoch and some for the ranges. Give a share nearer to 0.5, a "
            f"larger --validation-share, or leave it out."
        )
    return samples.only(choosing), samples.only(calibrating)


def measure_errors(
    plan: Plan, dataset: Dataset, network: SequenceModel | Ensemble, task: Task | None = None
) -> RangeCalibration | None:
    """What the errors of the trained network on these windows say about ranges; None where no ranges are asked for.

    task: of an ensemble; left out, the plan's.
    """
    if not plan.ranges.has_ranges:
        return None
    _, samples = validation_samples(plan, dataset)
    return (task or planned_task(plan)).calibrate(network_outputs(network, samples), samples)
