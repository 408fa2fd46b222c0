"""What stands before and behind the recurrent layers of a forecast.

window.py     a window's own level and spread, taken off before the layers and put back behind them
entry.py      from a window to what the layers read: one lane for all targets or one each, segments of steps as one input
decoder.py    what every decoder is given and gives
direct.py     all steps of the horizon at once, read off the final state
position.py   every segment of the horizon by itself, told its position
unrolled.py   segment after segment with a carried state: told what is known of the future, or its own last forecast, too
head.py       a decoder, the linear path beside it, and the way back to the scale of the data
"""

from gatework.tasks.forecasters.entry import WindowEntry, lane_sizes
from gatework.tasks.forecasters.head import ForecastHead

__all__ = ["ForecastHead", "WindowEntry", "lane_sizes"]
