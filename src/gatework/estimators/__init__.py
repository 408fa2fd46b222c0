"""The scikit-learn face: Classifier, Regressor, Forecaster.

Thin: they put arrays into a table, then train and predict as everyone else does.
"""

from gatework.estimators.forecaster import Forecaster
from gatework.estimators.sequences import Classifier, Regressor

__all__ = ["Classifier", "Forecaster", "Regressor"]
