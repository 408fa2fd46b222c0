"""A number as several: how much of each bin it fills. So a network sees a sharp bound, or a turn, at a place of its own.

Piecewise linear encoding with bins at quantiles of the training values (Gorishniy et al., "On embeddings for numerical features
in tabular deep learning", NeurIPS 2022, section 3.2). The bins are finer towards both ends, where a bound matters most.
"""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

ENDS = (
    0.0001, 0.0002, 0.0005, 0.001, 0.0015, 0.002, 0.003, 0.005, 0.007, 0.01, 0.015, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.25,
)  # fmt: skip
"""The shares of training values between an end and each edge; from 0.001 on, each is about half as much again as the one before.
With doublings, a bound that one row in a thousand passes lay inside a wide bin, and networks found it less often."""
SHARES = (0.0, *ENDS, 0.5, *(round(1 - share, 4) for share in reversed(ENDS)), 1.0)
"""The shares of training values below each edge: the same from both ends."""

ALL = "all"
"""Said instead of names: every numeric input."""


def fit_edges(values: FloatArray) -> tuple[float, ...]:
    """The edges of the bins, rising; each is a training value. Empty where fewer than three differ: one bin is the number itself.

    >>> fit_edges(np.array([1.0, 2.0, 2.0, 9.0]))
    (1.0, 2.0, 9.0)
    """
    edges = np.unique(np.quantile(values, SHARES, method="inverted_cdf"))
    return tuple(edges.tolist()) if len(edges) > 2 else ()


def fill_bins(values: FloatArray, edges: tuple[float, ...]) -> FloatArray:
    """(rows, bins): 0 below a bin, 1 above it, between them the share of the bin that the value has passed.

    >>> fill_bins(np.array([0.0, 1.5, 9.0]), (1.0, 2.0, 9.0)).tolist()
    [[0.0, 0.0], [0.5, 0.0], [1.0, 1.0]]
    """
    low, high = np.array(edges[:-1]), np.array(edges[1:])
    result: FloatArray = np.clip((values[:, None] - low) / (high - low), 0.0, 1.0)
    return result
