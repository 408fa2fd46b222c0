"""Poolings against padded reference computations in float64, values and gradients; sequences of length 0 and 1 among them."""

import pytest
import torch

from gatework.layers import AttentionPooling
from gatework.layers.attention import max_over_steps, softmax_over_steps
from gatework.ragged import Ragged
from gatework.tasks.classify import PooledHead
from gatework.tasks.pooling import Pooling
from gatework.tasks.task import Features

LENGTHS = [3, 0, 1, 33, 0, 7]
SIZE = 5


def steps_of(lengths: list[int] = LENGTHS, seed: int = 0) -> Ragged:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(sum(lengths), SIZE, generator=generator, dtype=torch.float64)
    return Ragged.from_lengths(values.requires_grad_(), lengths)


def features_of(steps: Ragged) -> Features:
    last = torch.randn(len(steps), SIZE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return Features(steps, last, steps)


def random_pooling() -> AttentionPooling:
    torch.manual_seed(3)
    pooling = AttentionPooling(SIZE, attention_size=4).double()
    torch.nn.init.normal_(pooling.query)
    return pooling


def dense_attention(pooling: AttentionPooling, steps: Ragged) -> torch.Tensor:
    """The same equations on padded steps: scores of −inf outside, torch's own softmax."""
    padded, lengths = steps.to_padded()
    scores = torch.tanh(padded @ pooling.look.weight.T + pooling.look.bias) @ pooling.query
    outside = torch.arange(padded.shape[1]) >= lengths.unsqueeze(1)
    weights = torch.softmax(scores.masked_fill(outside, -torch.inf), dim=1)
    return (torch.where(outside, 0.0, weights).nan_to_num().unsqueeze(-1) * padded).sum(1)


def test_attention_and_its_gradients_are_those_of_a_padded_softmax():
    pooling, steps = random_pooling(), steps_of()
    direction = torch.randn(len(LENGTHS), SIZE, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    learned = [steps.values, *pooling.parameters()]
    ours = pooling(steps).values
    full = steps.only([0, 2, 3, 5])  # a padded softmax over no steps is not a number, and neither is its gradient
    dense = dense_attention(pooling, full)
    assert torch.allclose(ours[[0, 2, 3, 5]], dense, atol=1e-14)
    assert torch.equal(ours[[1, 4]], torch.zeros(2, SIZE, dtype=torch.float64))
    found = torch.autograd.grad((ours * direction).sum(), learned)
    expected = torch.autograd.grad((dense * direction[[0, 2, 3, 5]]).sum(), learned)
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, atol=1e-13)


def test_attention_passes_torchs_own_gradient_check():
    pooling = random_pooling()
    steps = steps_of([2, 0, 1, 4])
    assert torch.autograd.gradcheck(lambda values: pooling(steps.with_values(values)).values, (steps.values,))


def test_the_weights_of_a_sequence_sum_to_one_and_a_single_step_has_all_of_it():
    weights = random_pooling()(steps_of()).weights
    assert torch.allclose(torch.stack([w.sum() for w in weights if len(w)]), torch.ones(4, dtype=torch.float64))
    assert weights[2].tolist() == [1.0]


def test_huge_scores_of_one_sequence_do_not_touch_another():
    alone = softmax_over_steps(Ragged.from_lengths(torch.tensor([1.0, 2.0]), [2]))
    beside = softmax_over_steps(Ragged.from_lengths(torch.tensor([1e30, -1e30, 1.0, 2.0]), [2, 2]))
    assert torch.equal(beside[1], alone[0])
    assert beside[0].tolist() == [1.0, 0.0]


def test_an_untrained_attention_is_the_mean_and_learns():
    pooling, steps = AttentionPooling(SIZE).double(), steps_of([4, 2])
    pooled = pooling(steps)
    assert torch.allclose(pooled.values, torch.stack([s.mean(0) for s in steps]), atol=1e-14)
    pooled.values.square().sum().backward()
    assert pooling.query.grad is not None
    assert pooling.query.grad.abs().sum() > 0


def test_max_is_that_of_each_sequence_and_ties_share_the_gradient():
    steps = steps_of()
    largest = max_over_steps(steps)
    for pooled, sequence in zip(largest, steps, strict=True):
        assert torch.equal(pooled, sequence.max(0).values if len(sequence) else torch.zeros(SIZE, dtype=torch.float64))
    values = torch.tensor([[1.0], [1.0], [0.0]], requires_grad=True)
    max_over_steps(Ragged.from_lengths(values, [3])).sum().backward()
    assert values.grad is not None
    assert values.grad.flatten().tolist() == [0.5, 0.5, 0.0]
    negative = max_over_steps(Ragged.from_lengths(torch.tensor([[-2.0], [-3.0]]), [2]))
    assert negative.tolist() == [[-2.0]]


@pytest.mark.parametrize("name", ["last", "mean", "max", "attention", "summary"])
def test_every_pooling_gives_what_its_name_says(name):
    steps = steps_of()
    features = features_of(steps)
    mean = torch.stack([s.mean(0) if len(s) else torch.zeros(SIZE, dtype=torch.float64) for s in steps])
    expected = {
        "last": features.last,
        "mean": mean,
        "max": max_over_steps(steps),
        "attention": mean,
        "summary": torch.cat([features.last, mean], 1),
    }
    pooling = Pooling(name, SIZE).double()
    assert torch.allclose(pooling(features), expected[name])
    assert PooledHead(name, SIZE, 3).double()(features, None).shape == (len(LENGTHS), 3)
