"""How many truths the ranges of a forecast hold on real data: PM2.5 in Beijing, 24 hours ahead, the data of `gatework demo`.

    python benchmarks/range_coverage.py [--outputs point quantiles gaussian] [--epochs N] [--seed N] [--json FILE]

Trains once for each output; the ranges of one network are then calibrated in each way. Prints a table in Markdown, judged on the
test part: the last 15 % of the hours. Widths and interval scores in µg/m³.
"""

import argparse
import json
import platform
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch

from gatework.data.dataset import Dataset, open_dataset
from gatework.model import TrainedModel, load_trained, network_outputs
from gatework.runs import IntervalScores, RangeMethod
from gatework.tasks.judge_forecast import truth_of
from gatework.tasks.metrics import interval_scores
from gatework.tasks.ranges import percent
from gatework.train import Request, train_model
from gatework.train.watch import Silent

DEMO = ("bundled:beijing-air", {"target": "pm2.5", "horizon": 24})
METHODS: tuple[RangeMethod, ...] = ("none", "split", "adaptive")


def train(output: str, epochs: int | None, seed: int, folder: Path) -> tuple[TrainedModel, Dataset]:
    """The demo's network with another output; it keeps what the adaptive method needs."""
    source, options = DEMO
    request = Request.model_validate({**options, "output": output, "calibrate": "adaptive", "epochs": epochs, "seed": seed})
    run = train_model([source], request, out=folder, watch=Silent())
    return load_trained(run)[0], open_dataset(run)


def scores(trained: TrainedModel, dataset: Dataset, method: RangeMethod) -> list[IntervalScores]:
    """The narrower and the wider range of the test part, corrected in one way."""
    samples = trained.task.samples(dataset.prepared, dataset.split, "test")
    calibration = trained.calibration
    assert calibration is not None
    changes: dict[str, object] = {"method": method}
    if method == "none":
        nothing = [[[[0.0 for _ in steps] for steps in targets] for targets in sides] for sides in calibration.record.shift]
        changes["shift"] = nothing
    calibration = replace(calibration, record=calibration.record.model_copy(update=changes))
    outputs = network_outputs(trained.network, samples)
    ranges = trained.task.ranges(outputs, samples, trained.preparation, calibration)
    assert ranges is not None
    truth, ends = truth_of(samples), ranges.ends
    return [
        interval_scores(truth, ends[..., number, 0], ends[..., number, 1], share, dataset.prepared.target_names)[0]
        for number, share in enumerate(ranges.intervals)
    ]


def row(output: str, method: str, found: list[IntervalScores]) -> str:
    """One row of the table."""
    cells = [
        f"{100 * (one.coverage or 0):.1f} % | {min(one.coverage_by_step) * 100:.1f} to {max(one.coverage_by_step) * 100:.1f} %"
        f" | {one.width:.0f} | {one.score:.0f}"
        for one in found
    ]
    return f"| `{output}` | `{method}` | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--outputs", nargs="+", default=["point", "quantiles", "gaussian"])
    parser.add_argument("--epochs", type=int, help="at most so many passes [inferred, as in the demo]")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    given = parser.parse_args()
    print(f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}; seed {given.seed}\n")
    is_headed, kept = False, []
    for output in given.outputs:
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            trained, dataset = train(output, given.epochs, given.seed, Path(folder) / "run")
            took_s = time.perf_counter() - started
            for method in METHODS:
                if output == "point" and method == "none":
                    continue  # a single number has no range of its own
                found = scores(trained, dataset, method)
                if not is_headed:
                    columns = [
                        f"{percent(one.level)}: {what}" for one in found for what in ("inside", "by step", "width", "score")
                    ]
                    print(f"| output | calibration | {' | '.join(columns)} |\n|---|---|{'---|' * len(columns)}")
                    is_headed = True
                print(row(output, method, found), flush=True)
                kept.append({"output": output, "method": method, "took_s": took_s, "scores": [one.model_dump() for one in found]})
    if given.json:
        given.json.write_text(json.dumps(kept, indent=1))


if __name__ == "__main__":
    main()
