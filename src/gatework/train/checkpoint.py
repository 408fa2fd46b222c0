"""All that a killed training needs to go on, bit for bit, in one safetensors file.

Written after every epoch, atomically: a kill at any moment loses at most the epoch under way. The random numbers of an epoch come
from (seed, epoch), so no generator state is kept.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from gatework.errors import RunError
from gatework.model import load_weights, save_weights
from gatework.runs import HistoryRow, Record

CHECKPOINT = "checkpoint.safetensors"


class Progress(Record):
    """Where a training stands after its last finished epoch.

    planned_epochs: fixed once, after the first epoch when there is a time limit, so that a resumed training follows the same
        schedule.
    """

    history: tuple[HistoryRow, ...] = ()
    planned_epochs: int
    is_finished: bool = False

    @property
    def epoch(self) -> int:
        """Finished epochs."""
        return len(self.history)

    @property
    def best(self) -> HistoryRow | None:
        """The epoch with the smallest validation loss."""
        return min(self.history, key=lambda row: row.validation_loss, default=None)


@dataclass(frozen=True)
class Checkpoint:
    """What the file holds.

    progress: see `Progress`. network, best: weights now and at the best epoch. optimizer: AdamW's moments by parameter number.
    """

    progress: Progress
    network: dict[str, Tensor]
    best: dict[str, Tensor]
    optimizer: dict[int, dict[str, Tensor]]

    def save(self, path: Path) -> None:
        """Write the file, atomically."""
        tensors = {f"network.{name}": tensor for name, tensor in self.network.items()}
        tensors |= {f"best.{name}": tensor for name, tensor in self.best.items()}
        for number, state in self.optimizer.items():
            tensors |= {f"optimizer.{number}.{name}": tensor for name, tensor in state.items()}
        save_weights(path, tensors, {"progress": self.progress.model_dump_json()})

    @classmethod
    def load(cls, path: Path) -> "Checkpoint":
        """Read a file; RunError when it is damaged."""
        tensors, metadata = load_weights(path)
        try:
            progress = Progress.model_validate_json(metadata.get("progress", ""))
        except ValidationError as error:
            raise RunError(
                f"'{path}' is damaged: its header does not say how far the training got. "
                f"Expected a checkpoint as gatework wrote it. Delete it; 'gatework resume' then trains from the beginning."
            ) from error
        optimizer: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith("optimizer."):
                _, number, key = name.split(".", 2)
                optimizer.setdefault(int(number), {})[key] = tensor
        return cls(progress, _under(tensors, "network."), _under(tensors, "best."), optimizer)


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[int, dict[str, Tensor]]:
    """The optimiser's moments and step counts by parameter number."""
    return {int(number): dict(state) for number, state in optimizer.state_dict()["state"].items()}


def restore(checkpoint: Checkpoint, network: nn.Module, optimizer: torch.optim.Optimizer, path: Path) -> None:
    """Put a checkpoint back into a network and its optimiser; RunError when they do not fit."""
    try:
        network.load_state_dict(checkpoint.network)
        fresh = optimizer.state_dict()
        optimizer.load_state_dict({"state": checkpoint.optimizer, "param_groups": fresh["param_groups"]})
    except (RuntimeError, ValueError, KeyError) as error:
        raise RunError(
            f"'{path}' does not fit the model that config.json describes. "
            f"Expected the checkpoint of the same run. Delete it; 'gatework resume' then trains from the beginning."
        ) from error
