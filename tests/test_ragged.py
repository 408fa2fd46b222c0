"""Ragged against lists of tensors and torch's own packed, padded and nested forms."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pack_sequence, pad_packed_sequence, pad_sequence

from gatework.errors import ShapeError
from gatework.ragged import Ragged

LENGTHS = st.lists(st.integers(0, 6), min_size=1, max_size=6)
LIVE_LENGTHS = st.lists(st.integers(1, 6), min_size=1, max_size=6)


def sequences_of(lengths: list[int], features: int = 2) -> list[Tensor]:
    generator = torch.Generator().manual_seed(len(lengths) + sum(lengths))
    return [torch.randn(length, features, generator=generator, dtype=torch.float64) for length in lengths]


def assert_holds(ragged: Ragged, sequences: list[Tensor]) -> None:
    assert len(ragged) == ragged.num_sequences == len(sequences)
    assert ragged.lengths.tolist() == [len(sequence) for sequence in sequences]
    for mine, given_sequence in zip(ragged, sequences, strict=True):
        assert torch.equal(mine, given_sequence)


@given(lengths=LENGTHS)
@settings(deadline=None)
def test_every_form_gives_back_the_same_sequences(lengths: list[int]) -> None:
    sequences = sequences_of(lengths)
    ragged = Ragged.from_list(sequences)
    assert_holds(ragged, sequences)
    assert_holds(Ragged.from_list(ragged.to_list()), sequences)
    assert_holds(Ragged.from_nested(ragged.to_nested()), sequences)
    padded, counts = ragged.to_padded(value=float("nan"))
    assert_holds(Ragged.from_padded(padded, counts), sequences)
    assert_holds(Ragged.from_padded(padded.transpose(0, 1), counts, batch_first=False), sequences)


@given(lengths=LIVE_LENGTHS)
@settings(deadline=None)
def test_packed_form_equals_torchs(lengths: list[int]) -> None:
    sequences = sequences_of(lengths)
    packed, expected = Ragged.from_list(sequences).to_packed(), pack_sequence(sequences, enforce_sorted=False)
    assert torch.equal(packed.batch_sizes, expected.batch_sizes)
    for mine, theirs in zip(pad_packed_sequence(packed), pad_packed_sequence(expected), strict=True):
        assert torch.equal(mine, theirs)
    assert_holds(Ragged.from_packed(packed), sequences)
    assert_holds(Ragged.from_packed(expected), sequences)


def test_a_pack_that_was_sorted_by_its_maker_has_no_indices_and_is_read() -> None:
    sequences = sequences_of([5, 3, 1])
    assert_holds(Ragged.from_packed(pack_sequence(sequences)), sequences)


@given(lengths=LENGTHS)
@settings(deadline=None)
def test_padding_equals_torchs(lengths: list[int]) -> None:
    sequences = sequences_of(lengths)
    padded, _ = Ragged.from_list(sequences).to_padded(value=-3.0)
    assert torch.equal(padded, pad_sequence(sequences, batch_first=True, padding_value=-3.0))


@given(lengths=LENGTHS, data=st.data())
@settings(deadline=None)
def test_only_takes_the_named_sequences_in_their_order(lengths: list[int], data: st.DataObject) -> None:
    sequences = sequences_of(lengths)
    wanted = data.draw(st.lists(st.integers(-len(lengths), len(lengths) - 1), max_size=5))
    assert_holds(Ragged.from_list(sequences).only(wanted), [sequences[i] for i in wanted])


def test_only_takes_one_number_or_a_mask() -> None:
    sequences = sequences_of([2, 0, 3])
    ragged = Ragged.from_list(sequences)
    assert_holds(ragged.only(2), sequences[2:])
    assert_holds(ragged.only(ragged.lengths > 0), [sequences[0], sequences[2]])


@given(lengths=LENGTHS)
@settings(deadline=None)
def test_each_step_knows_its_sequence_and_place(lengths: list[int]) -> None:
    ragged = Ragged.from_list(sequences_of(lengths))
    expected = [(i, t) for i, length in enumerate(lengths) for t in range(length)]
    assert list(zip(ragged.sequence_index.tolist(), ragged.step_index.tolist(), strict=True)) == expected


def test_last_is_the_last_step_and_zero_for_an_empty_sequence() -> None:
    sequences = sequences_of([2, 0, 3])
    expected = torch.stack([sequences[0][-1], torch.zeros(2, dtype=torch.float64), sequences[2][-1]])
    assert torch.equal(Ragged.from_list(sequences).last(), expected)
    assert torch.equal(Ragged.from_list(sequences[2:]).last(), expected[2:])


def test_gradients_reach_the_values_through_every_form() -> None:
    lengths = [3, 1, 2]
    values = torch.randn(6, 2, dtype=torch.float64, requires_grad=True)
    weights = torch.arange(12, dtype=torch.float64).reshape(6, 2)
    padded_weights, _ = Ragged.from_lengths(weights, lengths).to_padded()
    packed_weights = Ragged.from_lengths(weights, lengths).to_packed().data
    ragged = Ragged.from_lengths(values, lengths)
    for result in (
        (ragged.to_padded()[0] * padded_weights).sum(),
        (ragged.to_packed().data * packed_weights).sum(),
        (Ragged.from_packed(ragged.to_packed()).values * weights).sum(),
        (Ragged.from_padded(*ragged.to_padded()).values * weights).sum(),
        (Ragged.from_nested(ragged.to_nested()).values * weights).sum(),
        (ragged.only([0, 1, 2]).values * weights).sum(),
    ):
        (gradient,) = torch.autograd.grad(result, values)
        assert torch.equal(gradient, weights)


def test_indexing_counts_from_both_ends_and_gives_views() -> None:
    ragged = Ragged.from_list(sequences_of([2, 0, 3]))
    assert torch.equal(ragged[-1], ragged[2])
    assert ragged[2].data_ptr() == ragged.values[2:].data_ptr()
    with pytest.raises(IndexError, match=r"no sequence 3; the batch has 3.*len\(ragged\)"):
        ragged[3]
    with pytest.raises(ShapeError, match=r"indexed with slice.*expected the number of one.*ragged\.only"):
        ragged[0:2]  # type: ignore[index]
    with pytest.raises(IndexError, match=r"\[0, 7\] were asked for; the batch has 3"):
        ragged.only([0, 7])


@pytest.mark.parametrize("sequences", [[], [0], [0, 0]], ids=["none", "one empty", "two empty"])
def test_batches_without_a_step_are_legal(sequences: list[int]) -> None:
    ragged = Ragged.from_lengths(torch.empty(0, 3), sequences)
    assert ragged.total_steps == 0
    assert ragged.is_uniform
    assert ragged.to_padded()[0].shape == (len(sequences), 0, 3)
    assert torch.equal(ragged.last(), torch.zeros(len(sequences), 3))
    assert len(list(ragged)) == len(sequences)
    with pytest.raises(ShapeError, match=r"length zero.*PackedSequence must.*ragged\.only"):
        ragged.to_packed()


def test_uniform_means_one_length() -> None:
    assert Ragged.from_list(sequences_of([3, 3])).is_uniform
    assert not Ragged.from_list(sequences_of([3, 2])).is_uniform


def test_a_nested_view_with_holes_is_read_row_by_row() -> None:
    nested = torch.nested.narrow(
        torch.arange(10.0).reshape(2, 5), 1, torch.tensor([1, 0]), torch.tensor([2, 4]), layout=torch.jagged
    )
    assert_holds(Ragged.from_nested(nested), [torch.tensor([1.0, 2.0]), torch.tensor([5.0, 6.0, 7.0, 8.0])])


@pytest.mark.parametrize(
    ("values", "offsets", "message"),
    [
        (torch.tensor(1.0), torch.tensor([0, 1]), "no axis"),
        (torch.zeros(3, 1), torch.tensor([0, 3], dtype=torch.int32), r"expected int64 of shape \(num_sequences \+ 1,\)"),
        (torch.zeros(3, 1), torch.tensor([[0, 3]]), "of shape"),
        (torch.zeros(3, 1), torch.tensor([0, 2]), "from 0 to 2 for 3 steps"),
        (torch.zeros(3, 1), torch.tensor([1, 3]), "from 1 to 3"),
        (torch.zeros(3, 1), torch.tensor([0, 2, 1, 3]), "never fall"),
        (torch.zeros(3, 1), torch.tensor([], dtype=torch.int64), r"\(0,\)"),
    ],
)
def test_values_and_offsets_that_do_not_fit_are_refused(values: Tensor, offsets: Tensor, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        Ragged(values, offsets)


def test_wrong_pieces_are_refused_with_the_cure() -> None:
    with pytest.raises(ShapeError, match=r"Sequence 1 is torch\.float64 of shape \(2, 3\).*Convert sequence 1"):
        Ragged.from_list([torch.zeros(2, 2), torch.zeros(2, 3, dtype=torch.float64)])
    with pytest.raises(ShapeError, match=r"empty list.*Ragged\.from_lengths"):
        Ragged.from_list([])
    with pytest.raises(ShapeError, match=r"expected 2 lengths between 0 and 3.*batch_first"):
        Ragged.from_padded(torch.zeros(2, 3, 1), [1, 4])
    with pytest.raises(ShapeError, match=r"torch\.jagged"):
        Ragged.from_nested(torch.zeros(2, 3))


def test_it_says_what_it_holds() -> None:
    assert repr(Ragged.from_list([torch.zeros(2, 3), torch.zeros(0, 3)])) == (
        "Ragged(2 sequences, lengths [2, 0], values (2, 3) float32 on cpu)"
    )


def test_conversion_keeps_lengths_and_changes_dtype() -> None:
    ragged = Ragged.from_list(sequences_of([2, 1])).to(dtype=torch.float32)
    assert ragged.values.dtype == torch.float32
    assert ragged.offsets.tolist() == [0, 2, 3]


def test_packing_is_what_torch_packs_from_padded() -> None:
    padded, lengths = Ragged.from_list(sequences_of([1, 4, 2])).to_padded()
    expected = pack_padded_sequence(padded, lengths, batch_first=True, enforce_sorted=False)
    assert torch.equal(Ragged.from_padded(padded, lengths).to_packed().data, expected.data)
