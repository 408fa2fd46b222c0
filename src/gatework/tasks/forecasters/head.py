"""A decoder, the linear path beside it, and the way back to the scale of the data."""

import torch
from torch import Tensor, nn

from gatework.errors import ConfigError
from gatework.runs import ModelPlan
from gatework.tasks.forecasters.decoder import Decoder, DecoderSizes
from gatework.tasks.forecasters.direct import DirectDecoder
from gatework.tasks.forecasters.entry import Window
from gatework.tasks.forecasters.position import PositionDecoder
from gatework.tasks.forecasters.unrolled import RecursiveDecoder, SequenceDecoder
from gatework.tasks.outputs import Output
from gatework.tasks.task import Features, Sizes

LEAST_MEAN = 1e-3
"""Of the counts in training, where nearly all are zero."""


class ForecastHead(nn.Module):
    """From the state after a window to the forecast on the model's scale: (n, horizon, num_targets) and, where the output has
    several, its parameters on a last axis. Counts are forecast in the units of the data.

    recent: the last inputs, linear and starting at zero: what ridge regression would do, so that the memory is left with what a
    linear model cannot (the autoregressive path of Lai et al. 2018, section 3.6). It moves where a value lies, not how uncertain
    it is. Steps that a shorter window does not have add nothing.
    """

    means: Tensor

    def __init__(self, plan: ModelPlan, sizes: Sizes, horizon: int, own_targets: int, own_size: int, output: Output):
        super().__init__()
        self.output = output
        means = torch.tensor(sizes.target_means or (1.0,) * sizes.num_targets)
        self.register_buffer("means", means.clamp(min=LEAST_MEAN), persistent=False)
        self.horizon, self.own_targets, self.num_targets = horizon, own_targets, sizes.num_targets
        self.recent_steps = plan.linear_steps
        asked = DecoderSizes(
            feature_size=sizes.feature_size,
            num_future=sizes.num_future,
            num_lanes=sizes.num_targets // own_targets,
            outputs=own_targets * output.num_parameters,
            horizon=horizon,
            segment=min(plan.segment, horizon),
        )
        self.decoder = make_decoder(plan, asked, own_targets)
        self.recent = None
        if plan.linear_steps:
            self.recent = nn.Linear(plan.linear_steps * own_size, horizon * own_targets, bias=False)
            nn.init.zeros_(self.recent.weight)

    def check_horizon(self, horizon: int) -> None:
        """ConfigError for a horizon that this decoder does not know."""
        if horizon != self.horizon and (self.decoder.is_bound or self.recent is not None):
            raise ConfigError(
                f"A forecast of {horizon} steps is wanted from a model trained for {self.horizon}, whose decoder knows no other. "
                f"Train with --horizon {horizon}, or with --decoder recursive and --linear-steps 0, which go on as far as wanted."
            )

    def forward(self, features: Features, future: Tensor) -> Tensor:
        """(n, horizon, num_targets[, num_parameters]). future: (n, horizon, num_future); its horizon is the wanted one.

        Raises ConfigError for a horizon that this decoder does not know.
        """
        window = features.window
        assert isinstance(window, Window)
        horizon = future.shape[1]
        self.check_horizon(horizon)
        lanes = self.num_targets // self.own_targets
        decoded = self.decoder(features, window, future.repeat_interleave(lanes, 0) if lanes > 1 else future)
        raw = decoded.unflatten(-1, (-1, self.own_targets)).movedim(-2, -1)
        if self.recent is not None:
            recent = window.recent[:, max(0, window.recent.shape[1] - self.recent_steps) :]
            lacking = self.recent_steps - recent.shape[1]
            recent = nn.functional.pad(recent, (0, 0, lacking, 0)).flatten(1) if lacking else recent.flatten(1)
            first = raw[..., :1] + self.recent(recent).unflatten(-1, (horizon, -1))[..., None]
            raw = torch.cat([first, raw[..., 1:]], dim=-1)
        base, spread = window.scale.base, window.scale.spread
        if self.output.is_count:
            base = torch.zeros_like(spread)
            spread = (self.means if lanes == 1 else self.means[window.lane][:, None])[..., None, :].expand_as(spread)
        scaled = self.output.rescale(self.output.parameters(raw), base, spread)
        if lanes > 1:
            scaled = scaled.reshape(-1, lanes, horizon, self.output.num_parameters).transpose(1, 2)
        return scaled if self.output.num_parameters > 1 else scaled[..., 0]


def make_decoder(plan: ModelPlan, sizes: DecoderSizes, own_targets: int) -> Decoder:
    """The decoder that a plan names."""
    if plan.decoder == "position":
        return PositionDecoder(plan, sizes)
    if plan.decoder == "sequence":
        return SequenceDecoder(plan, sizes)
    if plan.decoder == "recursive":
        return RecursiveDecoder(plan, sizes, own_targets)
    return DirectDecoder(sizes)
