"""What classes are trained on: cross-entropy or focal loss, each class with its weight."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class ClassLoss:
    """gamma: 0 for cross-entropy; above it focal loss (Lin et al. 2017, equation 5): what is right already counts (1 − p)^gamma.

    weights: (num_classes,), what a sequence of each class counts; empty: 1 each.
    """

    gamma: float = 0.0
    weights: tuple[float, ...] = ()

    def __call__(self, scores: Tensor, targets: Tensor, weight: Tensor | None = None) -> Tensor:
        """The mean over the known targets. scores: (n, num_classes). targets: (n,) class index, −1 unknown.

        weight: (n, 1), what each sequence counts besides; None: 1 each.

        Divided by their number, not by their weights: the loss of a batch does not depend on which classes it happens to hold.
        """
        known = targets >= 0
        entropy = nn.functional.cross_entropy(scores, targets, ignore_index=-1, reduction="none")
        if self.gamma > 0:
            # 1 − p of the true class; from the loss itself, which is exact where p is near 1
            entropy = entropy * (-torch.expm1(-entropy)).clamp(min=1e-8) ** self.gamma
        if self.weights:
            entropy = entropy * scores.new_tensor(self.weights)[targets.clamp(min=0)]
        if weight is not None:
            entropy = entropy * weight[:, 0]
        return torch.where(known, entropy, 0.0).sum() / known.sum().clamp(min=1)
