"""Every segment of the horizon by itself, told its position: no error is carried from one to the next."""

import torch
from torch import Tensor, nn

from gatework.runs import ModelPlan
from gatework.tasks.forecasters.decoder import Decoder, DecoderSizes, given, last_states, own_layer, segments_of
from gatework.tasks.forecasters.entry import Window
from gatework.tasks.task import Features


class PositionDecoder(Decoder):
    """One step of a recurrent layer for each segment, from the window's final state.

    Its input is the segment's position, the lane and what is known of the segment.

    Lin et al. 2023, "SegRNN", section 3.3 (parallel multi-step forecasting); there the decoding layer has the encoder's weights.
    """

    def __init__(self, plan: ModelPlan, sizes: DecoderSizes):
        super().__init__()
        self.segment, self.horizon = sizes.segment, sizes.horizon
        count = -(-sizes.horizon // sizes.segment)
        size = plan.hidden_size
        half = size // 2 if sizes.num_lanes > 1 else 0
        self.positions = nn.Parameter(torch.randn(count, size - half))
        self.lanes = nn.Embedding(sizes.num_lanes, half) if half else None
        self.known = nn.Linear(sizes.segment * sizes.num_future, size) if sizes.num_future else None
        self.layer = own_layer(plan, size)
        self.dropout = nn.Dropout(plan.dropout)
        self.read = nn.Linear(size, sizes.segment * sizes.outputs)

    def forward(self, features: Features, window: Window, future: Tensor) -> Tensor:
        count, lanes = len(self.positions), len(future)
        told = self.positions.expand(lanes, count, -1)
        if self.lanes is not None:
            told = torch.cat([told, self.lanes(window.lane)[:, None].expand(-1, count, -1)], dim=-1)
        if self.known is not None:
            told = told + self.known(segments_of(future, self.segment))
        states = tuple(state.repeat_interleave(count, 1) for state in last_states(features))
        read, _ = self.layer(told.reshape(1, lanes * count, -1), given(states))
        steps: Tensor = self.read(self.dropout(read[0])).reshape(lanes, count * self.segment, -1)
        return steps[:, : self.horizon]
