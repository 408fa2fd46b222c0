"""Segment after segment with a carried state: any horizon, also one longer than in training."""

import torch
from torch import Tensor, nn

from gatework.runs import ModelPlan
from gatework.tasks.forecasters.decoder import Decoder, DecoderSizes, given, last_states, own_layer, segments_of
from gatework.tasks.forecasters.entry import Window
from gatework.tasks.task import Features


class SequenceDecoder(Decoder):
    """Encoder–decoder: a second recurrent layer goes on from the window's final state and reads what is known of each segment.

    Sutskever, Vinyals and Le 2014, without the feedback of its own output.
    """

    is_bound = False

    def __init__(self, plan: ModelPlan, sizes: DecoderSizes):
        super().__init__()
        self.segment = sizes.segment
        size = plan.hidden_size
        self.start = nn.Parameter(torch.zeros(size))
        self.lanes = nn.Embedding(sizes.num_lanes, size) if sizes.num_lanes > 1 else None
        self.known = nn.Linear(sizes.segment * sizes.num_future, size) if sizes.num_future else None
        self.layer = own_layer(plan, size)
        self.dropout = nn.Dropout(plan.dropout)
        self.read = nn.Linear(size, sizes.segment * sizes.outputs)

    def told(self, window: Window, future: Tensor) -> Tensor:
        """(lanes, segments, hidden_size) what each segment is told."""
        known = segments_of(future, self.segment)
        told = self.start.expand(known.shape[0], known.shape[1], -1)
        if self.lanes is not None:
            told = told + self.lanes(window.lane)[:, None]
        return told + self.known(known) if self.known is not None else told

    def forward(self, features: Features, window: Window, future: Tensor) -> Tensor:
        told = self.told(window, future)
        read, _ = self.layer(told.transpose(0, 1).contiguous(), given(last_states(features)))
        steps: Tensor = self.read(self.dropout(read.transpose(0, 1))).reshape(
            len(future), -1, self.read.out_features // self.segment
        )
        return steps[:, : future.shape[1]]


class RecursiveDecoder(SequenceDecoder):
    """The same, fed with its own last segment: its forecast for one segment is the past of the next.

    Trained as it is used, on its own forecasts, so that it never meets errors for the first time when it is used (the exposure
    bias of teacher forcing; Bengio et al. 2015, "Scheduled sampling").
    """

    def __init__(self, plan: ModelPlan, sizes: DecoderSizes, num_targets: int):
        super().__init__(plan, sizes)
        self.num_targets = num_targets
        self.feed = nn.Linear(sizes.segment * num_targets, plan.hidden_size)

    def forward(self, features: Features, window: Window, future: Tensor) -> Tensor:
        """The first `num_targets` outputs of each step are the forecast that is fed back."""
        lanes = len(future)
        told = self.told(window, future)
        states = last_states(features)
        last = self.last_segment(window)
        parts = []
        for segment in range(told.shape[1]):
            read, finals = self.layer((told[:, segment] + self.feed(last)).unsqueeze(0), given(states))
            states = finals if isinstance(finals, tuple) else (finals,)
            steps = self.read(self.dropout(read[0])).reshape(lanes, self.segment, -1)
            parts.append(steps)
            last = steps[..., : self.num_targets].reshape(lanes, -1)
        return torch.cat(parts, dim=1)[:, : future.shape[1]]

    def last_segment(self, window: Window) -> Tensor:
        """(lanes, segment · targets) the last observed segment; a shorter window is filled in front with its first step."""
        seen = window.recent[:, -self.segment :, : self.num_targets]
        lacking = self.segment - seen.shape[1]
        if lacking > 0:
            seen = torch.cat([seen[:, :1].expand(-1, lacking, -1), seen], dim=1)
        return seen.reshape(len(seen), -1)
