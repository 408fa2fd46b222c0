"""A model: input → recurrent layers → head; saved as safetensors beside the run's JSON files."""

import hashlib
import json
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from gatework.data.prepare import Preparation
from gatework.data.prepared import Prepared
from gatework.data.samples import Batch
from gatework.engine.threads import threads_for
from gatework.errors import RunError
from gatework.layers import Decay, LockedDropout, Recurrent
from gatework.ragged import Ragged
from gatework.runs import SCHEMA_VERSION, Conformal, DetectorRecord, ModelPlan, Plan, Record, RunFolder, atomic_write
from gatework.runs.decision import DECISION
from gatework.tasks import Task, planned_task
from gatework.tasks.detectors.detector import DETECTOR
from gatework.tasks.ensemble import mean_of_members
from gatework.tasks.range_calibration import RangeCalibration
from gatework.tasks.task import Features, Samples, Sizes

WEIGHTS = "model.safetensors"
ENSEMBLE = "ensemble.json"
CONFORMAL, ERRORS = "conformal.json", "conformal.safetensors"
BATCH_SIZE = 512
"""Samples per batch without gradients: large enough to hide Python, small enough for the cache."""
HEADER = "gatework"
"""The entry of a safetensors header that holds our own metadata, as JSON."""


class SequenceModel(nn.Module):
    """The entry of one task, recurrent layers, and the task's head.

    forward(inputs Ragged (total_steps, input_size), future (n, horizon, num_future)) → the head's output. The horizon is that of
    `future`, which has no columns where nothing is known of it; (n, 0, 0) or None where there is none.
    """

    def __init__(self, plan: ModelPlan, sizes: Sizes, task: Task):
        super().__init__()
        self.num_clock = sizes.num_clock
        self.fading = None
        if sizes.fading_values:
            self.fading = Decay(sizes.fading_values, sizes.fading_masks, sizes.fading_since, sizes.resting)
        self.entry = task.entry(sizes)
        self.recurrent = Recurrent(
            plan.cell,
            self.entry.output_size + self.num_clock,
            plan.hidden_size,
            num_layers=plan.num_layers,
            bidirectional=plan.bidirectional,
            dropout=plan.dropout if plan.num_layers > 1 else 0.0,
            zoneout=plan.zoneout,
        )
        self.input_dropout = LockedDropout(plan.input_dropout)
        self.dropout = nn.Dropout(plan.dropout)
        self.head = task.head(sizes)
        for module in self.modules():
            if isinstance(module, Recurrent):
                remember_at_first(module)

    def forward(self, inputs: Ragged, future: Tensor | None = None) -> Tensor:
        return self.head(self.features(inputs, 0 if future is None else future.shape[1]), future)  # type: ignore[no-any-return]

    def features(self, inputs: Ragged, horizon: int = 0) -> Features:
        """What the head reads, after dropout. horizon: steps to be forecast, 0 where there are none."""
        read, inputs, window = self.read(inputs, horizon)
        steps, states = self.recurrent(read)
        states = states if isinstance(states, tuple) else (states,)
        directions = 2 if self.recurrent.bidirectional else 1
        last = states[0][-directions:].transpose(0, 1).flatten(1)
        return Features(steps.with_values(self.dropout(steps.values)), self.dropout(last), inputs, states, window)

    def read(self, inputs: Ragged, horizon: int) -> tuple[Ragged, Ragged, object]:
        """What the recurrent layers read, the samples with their gaps faded, and what the head must know of them."""
        clock = None
        if self.num_clock:
            clock = inputs.with_values(inputs.values[:, -self.num_clock :])
            inputs = inputs.with_values(inputs.values[:, : -self.num_clock])
        if self.fading is not None:
            inputs = self.fading(inputs)
        read, window = self.entry(inputs, horizon)
        read = self.input_dropout(read)
        return read if clock is None else with_clock(read, clock), inputs, window

    def predict(self, batch: Batch) -> Tensor:
        """The head's output for a batch; of the judged steps alone where every step has an answer."""
        with nullcontext() if torch.is_grad_enabled() else threads_for(self.work(batch)):
            output: Tensor = self(batch.inputs, batch.future)
        return output if batch.judged is None else output[batch.judged]

    def work(self, batch: Batch) -> int:
        """How much there is to compute, for `threads_for`."""
        return int(batch.inputs.total_steps * self.recurrent.hidden_size**2)


def with_clock(read: Ragged, clock: Ragged) -> Ragged:
    """What the layers read, with the columns that go past the gates behind it. A sample may be several sequences, one a lane."""
    lanes = read.num_sequences // max(1, clock.num_sequences)
    values = clock.values
    if lanes > 1:
        values = torch.cat([steps for steps in clock.to_list() for _ in range(lanes)])
    return read.with_values(torch.cat([read.values, values], dim=-1))


def remember_at_first(recurrent: Recurrent) -> None:
    """Start forget gates open (bias 1), so that gradients reach back from the first step on.

    Jozefowicz, Zaremba and Sutskever, "An empirical exploration of recurrent network architectures", 2015.
    """
    gates = recurrent.cell.gates
    if "forget" not in gates or "shift_forget" in recurrent.cell.unit_weights:
        return
    start = gates.index("forget") * recurrent.hidden_size
    with torch.no_grad():
        for name, parameter in recurrent.named_parameters():
            if name.startswith(("bias_ih", "bias_hh")):
                parameter[start : start + recurrent.hidden_size] = 1.0 if name.startswith("bias_ih") else 0.0


def sizes_for(plan: Plan, prepared: Prepared) -> Sizes:
    """The sizes that this data asks of a model."""
    num_future = prepared.future.shape[1]
    return Sizes(
        input_size=prepared.inputs.shape[1] + num_future + prepared.static.shape[1],
        feature_size=plan.model.hidden_size * (2 if plan.model.bidirectional else 1),
        num_future=num_future,
        num_targets=len(prepared.target_names),
        num_classes=len(prepared.classes),
        target_columns=tuple(prepared.input_names.index(name) for name in prepared.target_names) if plan.horizon else (),
        target_zeros=prepared.target_zeros,
        target_means=prepared.target_means,
        num_clock=len(prepared.clock_names),
        fading_values=tuple(value for value, _, _ in prepared.fading),
        fading_masks=tuple(mask for _, mask, _ in prepared.fading),
        fading_since=tuple(since for _, _, since in prepared.fading),
        resting=prepared.resting,
    )


def build_model(plan: Plan, sizes: Sizes, task: Task, seed: int) -> SequenceModel:
    """A freshly initialised model; the same seed gives the same weights whatever was drawn before."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return SequenceModel(plan.model, sizes, task)


def tensors_sha256(tensors: dict[str, Tensor]) -> str:
    """A hash of names, shapes and values, independent of the file they are stored in."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def save_weights(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Tensors as safetensors, atomically, with a schema version and a hash of the values in the header.

    The same tensors and metadata give the same bytes.
    """
    own = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    header = {**metadata, "schema_version": str(SCHEMA_VERSION), "sha256": tensors_sha256(own)}
    with atomic_write(path) as temporary:
        # one entry: safetensors writes several in an order that changes from process to process
        safetensors.torch.save_file(own, temporary, metadata={HEADER: json.dumps(header, sort_keys=True)})


def load_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and header of a file written by `save_weights`.

    Raises RunError when the file is missing, truncated, changed since it was written, or from a newer gatework.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata: dict[str, str] = json.loads((file.metadata() or {}).get(HEADER, "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except FileNotFoundError as error:
        raise RunError(
            f"'{path}' does not exist. Expected the weights of a trained run. Finish the training with 'gatework resume'."
        ) from error
    except (SafetensorError, OSError, ValueError) as error:
        raise RunError(
            f"'{path}' is damaged: {error}. Expected a safetensors file as gatework wrote it. Restore a copy or train again."
        ) from error
    version = metadata.get("schema_version", "")
    if version.isdigit() and int(version) > SCHEMA_VERSION:
        raise RunError(
            f"'{path}' has schema version {version}; this gatework reads versions up to {SCHEMA_VERSION}. "
            f"Upgrade gatework: pip install --upgrade gatework."
        )
    if metadata.get("sha256") != tensors_sha256(tensors):
        raise RunError(
            f"'{path}' is damaged: its values do not match their hash. Expected the weights as gatework wrote them. "
            f"Restore a copy or train again."
        )
    return tensors, metadata


class Ensemble(nn.Module):
    """Several networks of one task. predict gives (n, members, …); see `tasks.ensemble.mean_of_members`."""

    def __init__(self, members: Sequence[SequenceModel]):
        super().__init__()
        self.members = nn.ModuleList(members)

    def predict(self, batch: Batch) -> Tensor:
        """Every member's output for a batch."""
        return torch.stack([member.predict(batch) for member in self.members], dim=1)  # type: ignore[operator]


@dataclass(frozen=True)
class TrainedModel:
    """A model with everything that it needs to meet new data: plan, task, fitted preparation, weights.

    calibration: what its errors on the validation part say about ranges; None for a task without ranges.
    detector: what turns its errors into alarms; None for other tasks than anomaly detection.
    """

    plan: Plan
    task: Task
    preparation: Preparation
    network: SequenceModel | Ensemble
    calibration: RangeCalibration | None = None
    detector: DetectorRecord | None = None


def network_outputs(network: SequenceModel | Ensemble, samples: Samples) -> np.ndarray:
    """The head's output for every sample, in their order; no dropout, no gradients."""
    if network.training:
        network.eval()
    parts = []
    with torch.inference_mode():
        for start in range(0, len(samples), BATCH_SIZE):
            batch: Batch = samples.batch(np.arange(start, min(start + BATCH_SIZE, len(samples))))
            parts.append(network.predict(batch).numpy())
    return np.concatenate(parts)


def save_calibration(folder: RunFolder, calibration: RangeCalibration) -> None:
    """Write conformal.json and the errors behind it."""
    tensors = {"scores": torch.from_numpy(calibration.scores), "errors": torch.from_numpy(calibration.errors)}
    save_weights(folder.file(ERRORS), tensors, {})
    folder.write(CONFORMAL, calibration.record)


def load_calibration(folder: RunFolder) -> RangeCalibration | None:
    """What `save_calibration` wrote; None where nothing is there. Raises RunError when a file is damaged."""
    if not folder.has(CONFORMAL):
        return None
    tensors, _ = load_weights(folder.file(ERRORS))
    return RangeCalibration(folder.read(CONFORMAL, Conformal), tensors["scores"].numpy(), tensors["errors"].numpy())


class EnsembleRecord(Record):
    """ensemble.json. members: their folders, below this one."""

    schema_version: int = SCHEMA_VERSION
    members: tuple[str, ...]


def save_ensemble(folder: RunFolder, members: Sequence[RunFolder]) -> None:
    """A run folder of trained runs of the same data and plan, which predicts the mean of their answers.

    Each member of a classification keeps its own calibration; a threshold for decisions is the first member's. The ranges of a
    forecast are calibrated on the errors of the ensemble, by `save_calibration`, and not here.
    """
    names = [f"member-{number}" for number in range(1, len(members) + 1)]
    for name, member in zip(names, members, strict=True):
        own = RunFolder(folder.file(name))
        own.path.mkdir(parents=True, exist_ok=True)
        copy_texts(member, own, ("config.json", "prepare.json", DECISION))
        tensors, header = load_weights(member.file(WEIGHTS))
        save_weights(own.file(WEIGHTS), tensors, {"sizes": header["sizes"]})
    copy_texts(members[0], folder, ("config.json", "split.json", "prepare.json", "run.json", DECISION))
    folder.write_history([])  # each member has its own
    folder.write(ENSEMBLE, EnsembleRecord(members=tuple(names)))


def copy_texts(source: RunFolder, target: RunFolder, names: Sequence[str]) -> None:
    """Files of one run in another folder, those that there are."""
    for name in names:
        if source.has(name):
            target.write_text(name, source.read_text(name))


def load_ensemble(folder: RunFolder) -> tuple[TrainedModel, str]:
    """An ensemble, ready to predict, and the hash of all its weights. Raises RunError like `load_trained`."""
    loaded = [load_member(RunFolder(folder.file(name))) for name in folder.read(ENSEMBLE, EnsembleRecord).members]
    first = loaded[0][0]
    network = Ensemble([model.network for model, _ in loaded if isinstance(model.network, SequenceModel)])
    sha256 = hashlib.sha256("".join(each for _, each in loaded).encode()).hexdigest()
    task = mean_of_members([model.task for model, _ in loaded], first.preparation)
    return TrainedModel(first.plan, task, first.preparation, network.eval(), load_calibration(folder)), sha256


def save_trained(folder: RunFolder, network: SequenceModel, sizes: Sizes) -> None:
    """Write model.safetensors: the weights, and in its header the sizes that the network was built for."""
    save_weights(folder.file(WEIGHTS), network.state_dict(), {"sizes": sizes.to_json()})


def load_trained(folder: RunFolder) -> tuple[TrainedModel, str]:
    """A trained model from its run folder, ready to predict, and the hash of its weights.

    Raises RunError when a file is missing, damaged, from a newer gatework or does not fit the others.
    """
    return load_ensemble(folder) if folder.has(ENSEMBLE) else load_member(folder)


def load_member(folder: RunFolder) -> tuple[TrainedModel, str]:
    """A single model from its folder; see `load_trained`."""
    plan = folder.read("config.json", Plan)
    task = planned_task(plan, folder)
    preparation = Preparation.from_json(folder.read_text("prepare.json"))
    path = folder.file(WEIGHTS)
    tensors, header = load_weights(path)
    try:
        sizes = Sizes.from_json(header["sizes"])
        network = build_model(plan, sizes, task, seed=0)
        network.load_state_dict(tensors)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise RunError(
            f"'{path}' does not fit the model that config.json describes ({type(error).__name__}). "
            f"Expected the weights of the same run. Restore the folder from a copy, or train again."
        ) from error
    network.eval()
    detector = folder.read(DETECTOR, DetectorRecord) if plan.anomaly is not None else None
    return TrainedModel(plan, task, preparation, network, load_calibration(folder), detector), header["sha256"]
