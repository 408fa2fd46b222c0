"""What every decoder is given and gives."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gatework.layers import Recurrent
from gatework.runs import ModelPlan
from gatework.tasks.forecasters.entry import Window
from gatework.tasks.task import Features

LANE_SIZE = 16
"""Numbers by which a decoder tells targets apart."""


@dataclass(frozen=True)
class DecoderSizes:
    """feature_size: of the final state. num_future: what is known of each step to be forecast. num_lanes: targets that go apart,
    else 1. outputs: numbers wanted for each step of a lane. horizon: in steps. segment: steps decoded at once.
    """

    feature_size: int
    num_future: int
    num_lanes: int
    outputs: int
    horizon: int
    segment: int


class Decoder(nn.Module, ABC):
    """From the state after a window to every step of the horizon, on the window's own scale."""

    is_bound = True
    """Whether it knows only the horizon that it was trained with."""

    @abstractmethod
    def forward(self, features: Features, window: Window, future: Tensor) -> Tensor:
        """(lanes, horizon, outputs). future: (lanes, horizon, num_future)."""


def segments_of(future: Tensor, segment: int) -> Tensor:
    """What is known of each segment to be forecast: (lanes, segments, segment · num_future), zeros behind the horizon."""
    lanes, horizon, width = future.shape
    count = -(-horizon // segment)
    if count * segment > horizon:
        future = torch.cat([future, future.new_zeros(lanes, count * segment - horizon, width)], dim=1)
    return future.reshape(lanes, count, segment * width)


def own_layer(plan: ModelPlan, input_size: int) -> Recurrent:
    """One more recurrent layer of the plan's cell, for a decoder."""
    return Recurrent(plan.cell, input_size, plan.hidden_size)


def last_states(features: Features) -> tuple[Tensor, ...]:
    """The final states of the last layer, (1, lanes, hidden_size) each, in the order of the cell."""
    return tuple(state[-1:] for state in features.states)


def given(states: tuple[Tensor, ...]) -> Tensor | tuple[Tensor, ...]:
    """States as a layer takes them."""
    return states if len(states) > 1 else states[0]
