"""The card transactions of the Fraud Detection Handbook (simulated): reading, features, and which rows are tested.

Features of Le Borgne et al., "Reproducible Machine Learning for Credit Card Fraud Detection" (2022), chapter 3, computed anew: a
transaction knows its own customer's transactions up to itself, and of its terminal the frauds that are at least seven days old.
"""

from pathlib import Path

import numpy as np
import polars as pl

DAY_S = 86_400
DELAY_DAYS = 7
FIRST_DAY = np.datetime64("2018-04-01")
WINDOWS_DAYS = (1, 7, 30)
HANDBOOK = (
    "amount", "weekend", "night",
    *(f"customer_{what}_{days}" for days in WINDOWS_DAYS for what in ("count", "mean")),
    *(f"terminal_{what}_{days}" for days in WINDOWS_DAYS for what in ("count", "risk")),
)  # fmt: skip
"""The fifteen features of the handbook."""
RATIO_DAYS = (7, 30, 90)
OURS = ("gap_days", "hour_sin", "hour_cos", *(f"amount_ratio_{days}" for days in RATIO_DAYS))
"""What a recurrent network reads besides: the time since the customer's last transaction, the hour, and the logarithm of the
amount over the mean of the customer's earlier ones."""


def day_number(date: str) -> int:
    """Days since the first of the data."""
    return int((np.datetime64(date) - FIRST_DAY).astype(int))


def read_transactions(folder: Path) -> pl.DataFrame:
    """One row per transaction in time order: seconds, day, customer, terminal, amount, is_fraud, scenario (0: genuine)."""
    with np.load(folder / "transactions_columns.npz", allow_pickle=False) as file:
        seconds = np.cumsum(file["tx_time_seconds_delta"], dtype=np.int64)
        return pl.DataFrame(
            {
                "seconds": seconds,
                "day": seconds // DAY_S,
                "customer": file["customer_id"].astype(np.int64),
                "terminal": file["terminal_id"].astype(np.int64),
                "amount": file["amount_cents"] / 100.0,
                "is_fraud": file["fraud_scenario"] > 0,
                "scenario": file["fraud_scenario"].astype(np.int64),
            }
        )


def with_features(rows: pl.DataFrame) -> pl.DataFrame:
    """The transactions with HANDBOOK and OURS. No row of `rows` behind a transaction changes its features."""
    seconds, amount = rows["seconds"].to_numpy(), rows["amount"].to_numpy()
    hour = seconds % DAY_S / DAY_S * 24
    weekday = (rows["day"].to_numpy() + 6) % 7  # 2018-04-01 was a Sunday; Monday is 0
    columns = {
        "weekend": (weekday >= 5).astype(float),
        "night": (hour < 7).astype(float),  # hours 0 to 6, as the handbook has it
        "hour_sin": np.sin(2 * np.pi * hour / 24),
        "hour_cos": np.cos(2 * np.pi * hour / 24),
        **customer_features(seconds, rows["customer"].to_numpy(), amount),
        **terminal_features(seconds, rows["terminal"].to_numpy(), rows["is_fraud"].to_numpy()),
    }
    return rows.with_columns([pl.Series(name, values) for name, values in columns.items()])


class Grouped:
    """Rows sorted by an entity, then by time, and where each row's past begins.

    seconds, entity: (n,), rows in time order.
    """

    def __init__(self, seconds: np.ndarray, entity: np.ndarray):
        self.order = np.argsort(entity, kind="stable")
        self.entity = entity[self.order]
        # entities lie further apart than any window reaches back
        self.key = self.entity * (2 * int(seconds[-1]) + 100 * DAY_S) + seconds[self.order]

    def since(self, days: float) -> np.ndarray:
        """(n,) in sorted order: the first row of the same entity that is less than so many days older."""
        return np.searchsorted(self.key, self.key - int(days * DAY_S), side="right")

    def in_time_order(self, values: np.ndarray) -> np.ndarray:
        """Values of sorted rows, back in the order of the data."""
        result = np.empty_like(values)
        result[self.order] = values
        return result


def running(values: np.ndarray) -> np.ndarray:
    """(n + 1,) sums of the first 0, 1, … values, float64."""
    return np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])


def customer_features(seconds: np.ndarray, customer: np.ndarray, amount: np.ndarray) -> dict[str, np.ndarray]:
    """Number and mean amount of the customer's transactions of the last days, this one included; days since the last one; how the
    amount stands to the mean of those before it.
    """
    grouped = Grouped(seconds, customer)
    sums, here = running(amount[grouped.order]), np.arange(1, len(amount) + 1)
    columns = {}
    for days in WINDOWS_DAYS:
        first = grouped.since(days)
        count = (here - first).astype(float)
        columns[f"customer_count_{days}"] = grouped.in_time_order(count)
        columns[f"customer_mean_{days}"] = grouped.in_time_order((sums[here] - sums[first]) / count)
    ordered, before = amount[grouped.order], np.arange(len(amount))
    for days in RATIO_DAYS:
        first = grouped.since(days)
        earlier = before - first
        mean = np.divide(sums[before] - sums[first], earlier, out=ordered.copy(), where=earlier > 0)
        columns[f"amount_ratio_{days}"] = grouped.in_time_order(np.log((ordered + 1) / (mean + 1)))
    gap = np.diff(seconds[grouped.order], prepend=0) / DAY_S
    is_first = np.diff(grouped.entity, prepend=-1) != 0
    columns["gap_days"] = grouped.in_time_order(np.where(is_first, 30.0, np.minimum(gap, 30.0)))
    return columns


def terminal_features(seconds: np.ndarray, terminal: np.ndarray, is_fraud: np.ndarray) -> dict[str, np.ndarray]:
    """Number of the terminal's transactions and share of frauds in the days that ended DELAY_DAYS ago: what is known by then."""
    grouped = Grouped(seconds, terminal)
    frauds, end = running(is_fraud[grouped.order]), grouped.since(DELAY_DAYS)
    columns = {}
    for days in WINDOWS_DAYS:
        first = grouped.since(DELAY_DAYS + days)
        count = (end - first).astype(float)
        risk = np.divide(frauds[end] - frauds[first], count, out=np.zeros_like(count), where=count > 0)
        columns[f"terminal_count_{days}"] = grouped.in_time_order(count)
        columns[f"terminal_risk_{days}"] = grouped.in_time_order(risk)
    return columns


def rows_to_score(rows: pl.DataFrame, first_day: int, days: int = 7) -> np.ndarray:
    """(n,) the transactions of the test days, without those of customers known to be compromised (handbook, chapter 5).

    first_day: of the training. Known on test day d (from 0): who had a fraud in the training or in the delay up to its day d − 1.
    """
    day, customer, is_fraud = (rows[name].to_numpy() for name in ("day", "customer", "is_fraud"))
    is_known = np.zeros(int(customer.max()) + 1, dtype=bool)
    is_known[customer[is_fraud & (day >= first_day) & (day < first_day + days)]] = True
    chosen = np.zeros(len(day), dtype=bool)
    for number in range(days):
        is_known[customer[is_fraud & (day == first_day + days + number - 1)]] = True
        chosen |= (day == first_day + days + DELAY_DAYS + number) & ~is_known[customer]
    return chosen


def card_precision(day: np.ndarray, customer: np.ndarray, is_fraud: np.ndarray, score: np.ndarray, most: int = 100) -> float:
    """The mean over the days of the share of truly compromised customers among the `most` with the highest score of that day.

    A customer who was found is left out of the days after (handbook, chapter 4, `card_precision_top_k`).
    """
    found: set[int] = set()
    shares = []
    for number in np.unique(day):
        own = (day == number) & ~np.isin(customer, list(found))
        order = np.argsort(-score[own], kind="stable")
        names, first = np.unique(customer[own][order], return_index=True)
        ranked = names[np.argsort(first)][:most]
        compromised = set(customer[own & is_fraud].tolist())
        hits = [name for name in ranked.tolist() if name in compromised]
        found.update(hits)
        shares.append(len(hits) / most)
    return float(np.mean(shares))
