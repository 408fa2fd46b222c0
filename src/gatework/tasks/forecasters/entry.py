"""From a window to what the recurrent layers read."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gatework.errors import ConfigError
from gatework.ragged import Ragged
from gatework.runs import ModelPlan
from gatework.tasks.forecasters.window import WindowScale, window_scale
from gatework.tasks.task import Entry, Sizes


@dataclass(frozen=True)
class Window:
    """Windows as their lanes see them. A lane is a window, or one target of it where targets go apart.

    scale: the level and spread of each lane. recent: (lanes, steps, own_size), all inputs of the lane's steps, targets normalised
    and first. lane: (lanes,) which target it is, where targets go apart; else zeros. seen: (lanes, steps) bool, the steps that a
    lane has, where some are shorter: these have zeros in front, which no recurrence reads; None: all.
    """

    scale: WindowScale
    recent: Tensor
    lane: Tensor
    seen: Tensor | None = None


def lane_sizes(plan: ModelPlan, sizes: Sizes) -> tuple[int, int]:
    """How many targets a lane has, and how many inputs a step of it, those of its targets included."""
    own_targets = 1 if plan.channels == "apart" else sizes.num_targets
    return own_targets, own_targets + sizes.input_size - sizes.num_targets


class WindowEntry(Entry):
    """Windows (total_steps, input_size) as sequences of segments, one lane each: (total_segments, output_size).

    Targets are put on the window's own scale. With the channels apart, each target is a lane of its own with the inputs that all
    share, and one network serves all of them (Nie et al. 2023, PatchTST, section 3.1). A segment of several steps is one input of
    the recurrence, after a linear layer and ReLU (Lin et al. 2023, SegRNN, section 3.2); steps in front that fill no segment are
    not read by the recurrence.
    """

    order: Tensor
    zero: Tensor

    def __init__(self, plan: ModelPlan, sizes: Sizes, season: int):
        own_targets, own_size = lane_sizes(plan, sizes)
        super().__init__(plan.hidden_size if plan.segment > 1 else own_size)
        self.plan, self.sizes, self.season = plan, sizes, season
        self.is_apart = own_targets < sizes.num_targets
        targets = list(sizes.target_columns)
        others = [column for column in range(sizes.input_size) if column not in targets]
        self.register_buffer("order", torch.tensor(targets + others), persistent=False)
        self.register_buffer("zero", torch.tensor(sizes.target_zeros), persistent=False)
        self.embed = None
        if plan.segment > 1:
            self.embed = nn.Sequential(nn.Linear(plan.segment * own_size, plan.hidden_size), nn.ReLU())

    def window(self, inputs: Ragged, horizon: int) -> Window:
        """The lanes of the windows. Raises ConfigError when a window is shorter than the seasons it is measured by."""
        count = inputs.num_sequences
        values, seen = side_by_side(inputs)
        if self.plan.normalise == "season" and int(inputs.lengths.min()) < 2 * self.season:
            raise ConfigError(
                f"The window has {int(inputs.lengths.min())} steps; --normalise season needs two seasons of {self.season} steps. "
                f"Give --window {2 * self.season} or more, or another --normalise."
            )
        if not torch.equal(self.order, torch.arange(len(self.order))):
            values = values[..., self.order]
        history, shared = values[..., : self.sizes.num_targets], values[..., self.sizes.num_targets :]
        zero = self.zero
        lane = torch.zeros(count, dtype=torch.int64)
        if self.is_apart:
            number = self.sizes.num_targets
            history = history.transpose(1, 2).reshape(count * number, -1, 1)
            shared = (
                shared.repeat_interleave(number, 0) if shared.shape[-1] else shared.new_zeros(len(history), history.shape[1], 0)
            )
            lane = torch.arange(number).repeat(count)
            zero = self.zero[lane][:, None, None]
            seen = None if seen is None else seen.repeat_interleave(number, 0)
        scale = window_scale(self.plan.normalise, history, horizon, self.season, zero, seen)
        own = history if self.plan.normalise == "none" else scale.normalise(history)
        if seen is not None:
            own = own.masked_fill(~seen[..., None], 0.0)
        recent = torch.cat([own, shared], dim=-1) if shared.shape[-1] else own
        return Window(scale, recent, lane, seen)

    def forward(self, inputs: Ragged, horizon: int) -> tuple[Ragged, Window]:
        """What the layers read, and the windows for the head."""
        window = self.window(inputs, horizon)
        if self.embed is None:
            return read_by(window.recent, window.seen), window
        lanes, steps, _ = window.recent.shape
        segments = steps // self.plan.segment
        used = window.recent[:, steps - segments * self.plan.segment :].reshape(lanes, segments, -1)
        if window.seen is None:
            return Ragged.dense(self.embed(used)), window
        own = window.seen.sum(1) // self.plan.segment
        read = read_by(used, torch.arange(segments) >= segments - own[:, None])
        return read.with_values(self.embed(read.values)), window


def side_by_side(inputs: Ragged) -> tuple[Tensor, Tensor | None]:
    """Windows as (n, longest, input_size), the last steps below each other and zeros in front of those that are shorter.

    Also (n, longest) bool, the steps that each has; None where all are equally long.
    """
    if inputs.is_uniform:
        return inputs.values.view(inputs.num_sequences, -1, inputs.values.shape[-1]), None
    longest = int(inputs.lengths.max())
    seen = torch.arange(longest) >= longest - inputs.lengths[:, None]
    values = inputs.values.new_zeros(inputs.num_sequences, longest, inputs.values.shape[-1])
    return values.masked_scatter(seen[..., None], inputs.values), seen


def read_by(recent: Tensor, seen: Tensor | None) -> Ragged:
    """The steps that each lane has, as what the recurrence reads."""
    return Ragged.dense(recent) if seen is None else Ragged.from_lengths(recent[seen], seen.sum(1))
