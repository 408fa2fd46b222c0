"""What the recurrent layers' outputs are turned into: the next steps at every step, or the whole window again."""

import torch
from torch import Tensor, nn

from gatework.layers import LSTM
from gatework.tasks.task import Features, Sizes


class NextStepsHead(nn.Module):
    """The next `horizon` steps of every channel at every step: the last value, plus what memory and a linear path add.

    memory: the state, linear. recent: the last inputs, linear and zero at first: what an autoregression would do, so that the
    memory is left with what that cannot (Lai et al. 2018, section 3.6).
    """

    def __init__(self, sizes: Sizes, horizon: int, recent: int):
        super().__init__()
        self.horizon, self.num_targets = horizon, sizes.num_targets
        self.memory = nn.Linear(sizes.feature_size, horizon * sizes.num_targets)
        self.recent = nn.Conv1d(sizes.input_size, horizon * sizes.num_targets, recent, bias=False)
        nn.init.zeros_(self.recent.weight)

    def forward(self, features: Features, future: Tensor | None) -> Tensor:
        """(n, window, horizon, num_targets), scaled; windows of one length."""
        count = features.inputs.num_sequences
        steps = features.steps.values.reshape(count, -1, features.steps.values.shape[-1])
        inputs = features.inputs.values.reshape(count, -1, features.inputs.values.shape[-1])
        return self.read(steps, nn.functional.pad(inputs, (0, 0, self.recent.kernel_size[0] - 1, 0)))

    def read(self, steps: Tensor, inputs: Tensor) -> Tensor:
        """The forecasts made at each step. steps: (n, length, feature_size). inputs: (n, recent − 1 + length, input_size)."""
        recent = self.recent(inputs.transpose(1, 2)).transpose(1, 2)
        last = inputs[:, self.recent.kernel_size[0] - 1 :, : self.num_targets]
        added: Tensor = (self.memory(steps) + recent).unflatten(-1, (self.horizon, self.num_targets))
        return added + last.unsqueeze(2)


class ReconstructionHead(nn.Module):
    """The window again, from the state at its end alone: an LSTM writes it backwards, `segment` steps at a time.

    The encoder–decoder of Malhotra et al., "LSTM-based encoder-decoder for multi-sensor anomaly detection", 2016, with two
    changes: a segment at a time, so that the decoder takes window / segment steps; and the position of the segment as its input
    in the place of the values decoded before, so that training and use are the same.
    """

    def __init__(self, sizes: Sizes, window: int, segment: int):
        super().__init__()
        self.window, self.segment, self.num_targets = window, segment, sizes.num_targets
        self.num_segments = -(-window // segment)
        size = sizes.feature_size
        self.start = nn.Linear(size, 2 * size)
        self.position = nn.Parameter(torch.randn(self.num_segments, size) * 0.1)
        self.decoder = LSTM(size, size, batch_first=True)
        self.write = nn.Linear(size, segment * sizes.num_targets)

    def forward(self, features: Features, future: Tensor | None) -> Tensor:
        """(n, window, 1, num_targets), scaled."""
        count = features.inputs.num_sequences
        h, c = torch.tanh(self.start(features.last)).chunk(2, dim=-1)
        positions = self.position.expand(count, -1, -1).contiguous()
        states, _ = self.decoder(positions, (h.unsqueeze(0).contiguous(), c.unsqueeze(0).contiguous()))
        backwards = self.write(states).unflatten(-1, (self.segment, self.num_targets)).flip(1)
        whole: Tensor = backwards.flatten(1, 2)[:, self.num_segments * self.segment - self.window :]
        return whole.unsqueeze(2)
