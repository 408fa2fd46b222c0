"""All steps of the horizon at once, read off the final state."""

import torch
from torch import Tensor, nn

from gatework.tasks.forecasters.decoder import LANE_SIZE, Decoder, DecoderSizes
from gatework.tasks.forecasters.entry import Window
from gatework.tasks.task import Features

CONTEXT_SIZE = 16
"""Numbers of the state that each step's own reading is given."""


class DirectDecoder(Decoder):
    """A sum of two readings of the final state.

    memory: linear. step: the state read once per forecast step and joined with what is known of that step (calendar, planned
    covariates); without such knowledge, left out.
    """

    def __init__(self, sizes: DecoderSizes):
        super().__init__()
        self.horizon = sizes.horizon
        self.lanes = nn.Embedding(sizes.num_lanes, LANE_SIZE) if sizes.num_lanes > 1 else None
        size = sizes.feature_size + (LANE_SIZE if self.lanes is not None else 0)
        self.memory = nn.Linear(size, sizes.horizon * sizes.outputs)
        self.context = nn.Linear(size, sizes.horizon * CONTEXT_SIZE) if sizes.num_future else None
        if self.context is not None:
            self.step = nn.Sequential(nn.Linear(CONTEXT_SIZE + sizes.num_future, 32), nn.GELU(), nn.Linear(32, sizes.outputs))

    def forward(self, features: Features, window: Window, future: Tensor) -> Tensor:
        state = features.last
        if self.lanes is not None:
            state = torch.cat([state, self.lanes(window.lane)], dim=-1)
        output: Tensor = self.memory(state).unflatten(-1, (self.horizon, -1))
        if self.context is None:
            return output
        context = self.context(state).unflatten(-1, (self.horizon, -1))
        correction: Tensor = self.step(torch.cat([context, future], dim=-1))
        return output + correction
