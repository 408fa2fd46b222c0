"""Many trainings of one question: folds, backtests, search, learning curves, sweeps, ensembles.

run.py        run_study: one function for all six; a folder that can be interrupted and continued
job.py        one training of a study in a run folder of its own
workers.py    jobs in several processes
backtest.py, folds.py, curve.py, sweep.py, seeds.py, search.py    what is trained, and what came out
pool.py, compare.py, power_law.py    the arithmetic
"""

from gatework.runs.study import Backtest, Curve, Folds, Search, Seeds, Sweep
from gatework.study.run import Study, run_study

__all__ = ["Backtest", "Curve", "Folds", "Search", "Seeds", "Study", "Sweep", "run_study"]
