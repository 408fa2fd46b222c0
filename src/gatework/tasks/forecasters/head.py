"""A decoder, the linear path beside it, and the way back to the scale of the data."""

from torch import Tensor, nn

from gatework.errors import ConfigError
from gatework.runs import ModelPlan
from gatework.tasks.forecasters.decoder import Decoder, DecoderSizes
from gatework.tasks.forecasters.direct import DirectDecoder
from gatework.tasks.forecasters.entry import Window
from gatework.tasks.forecasters.position import PositionDecoder
from gatework.tasks.forecasters.unrolled import RecursiveDecoder, SequenceDecoder
from gatework.tasks.task import Features, Sizes


class ForecastHead(nn.Module):
    """From the state after a window to the forecast, (n, horizon, num_targets) on the model's scale.

    recent: the last inputs, linear and starting at zero: what ridge regression would do, so that the memory is left with what a
    linear model cannot (the autoregressive path of Lai et al. 2018, section 3.6).
    """

    def __init__(self, plan: ModelPlan, sizes: Sizes, horizon: int, own_targets: int, own_size: int):
        super().__init__()
        self.horizon, self.own_targets, self.num_targets = horizon, own_targets, sizes.num_targets
        self.recent_steps = plan.linear_steps
        asked = DecoderSizes(
            feature_size=sizes.feature_size,
            num_future=sizes.num_future,
            num_lanes=sizes.num_targets // own_targets,
            outputs=own_targets,
            horizon=horizon,
            segment=min(plan.segment, horizon),
        )
        self.decoder = make_decoder(plan, asked, own_targets)
        self.recent = None
        if plan.linear_steps:
            self.recent = nn.Linear(plan.linear_steps * own_size, horizon * own_targets, bias=False)
            nn.init.zeros_(self.recent.weight)

    def forward(self, features: Features, future: Tensor) -> Tensor:
        """(n, horizon, num_targets). future: (n, horizon, num_future); its horizon is the wanted one.

        Raises ConfigError for a horizon that this decoder does not know.
        """
        window = features.window
        assert isinstance(window, Window)
        horizon = future.shape[1]
        if horizon != self.horizon and (self.decoder.is_bound or self.recent is not None):
            raise ConfigError(
                f"A forecast of {horizon} steps is wanted from a model trained for {self.horizon}, whose decoder knows no other. "
                f"Train with --horizon {horizon}, or with --decoder recursive and --linear-steps 0, which go on as far as wanted."
            )
        lanes = self.num_targets // self.own_targets
        output = self.decoder(features, window, future.repeat_interleave(lanes, 0) if lanes > 1 else future)
        if self.recent is not None:
            recent = window.recent[:, window.recent.shape[1] - self.recent_steps :].flatten(1)
            output = output + self.recent(recent).unflatten(-1, (horizon, -1))
        scaled: Tensor = window.scale.base + window.scale.spread * output
        if lanes == 1:
            return scaled
        return scaled.reshape(-1, lanes, horizon).transpose(1, 2)


def make_decoder(plan: ModelPlan, sizes: DecoderSizes, own_targets: int) -> Decoder:
    """The decoder that a plan names."""
    if plan.decoder == "position":
        return PositionDecoder(plan, sizes)
    if plan.decoder == "sequence":
        return SequenceDecoder(plan, sizes)
    if plan.decoder == "recursive":
        return RecursiveDecoder(plan, sizes, own_targets)
    return DirectDecoder(sizes)
