"""Few sequences and wide layers: all threads compute each step together, every one some of the units."""

from collections.abc import Iterator

import pytest
import torch

from engine_cases import compiled, compiled_results, make_case
from gatework.cells import Cell, gru, layernorm, lstm, peephole
from gatework.cells.equations import canonical_text
from gatework.engine.cpu import operators
from gatework.engine.cpu.operators import wants_team
from gatework.engine.cpu.program import program_of


@pytest.fixture(params=[2, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """More than one; gives back torch's number."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def always(program: object, threads: int, num_sequences: int, units: int) -> bool:
    """A team whatever the sizes."""
    return threads > 1


@pytest.mark.parametrize("cell", [lstm, gru, peephole], ids=lambda cell: cell.name)
@pytest.mark.parametrize("form", ["dense", "ragged"])
@pytest.mark.parametrize("backwards", [False, True])
def test_a_team_computes_the_same_bits_as_one_thread(
    cell: Cell, form: str, backwards: bool, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths = [9] * 5 if form == "dense" else [5, 0, 17, 1, 5, 8, 3]
    case = make_case(cell, lengths=lengths, dense=form == "dense", backwards=backwards, dtype=torch.float32, hidden_size=65)
    monkeypatch.setattr(operators, "wants_team", always)
    operators._ragged.cache_clear()
    together = [*compiled(case).all().values(), *compiled_results(case)]
    torch.set_num_threads(1)
    operators._ragged.cache_clear()
    alone = [*compiled(case).all().values(), *compiled_results(case)]
    operators._ragged.cache_clear()
    assert together
    for found, expected in zip(together, alone, strict=True):
        assert torch.equal(found, expected)


def test_teams_are_for_few_sequences_and_wide_layers_only() -> None:
    program = program_of(canonical_text(lstm))
    assert wants_team(program, 2, 1, 256)
    assert wants_team(program, 2, 3, 256), "one thread would wait while the other computes its second sequence"
    assert not wants_team(program, 2, 7, 256), "an eighth of the time"
    assert not wants_team(program, 1, 1, 256), "one thread"
    assert not wants_team(program, 2, 2, 256), "a sequence for each"
    assert not wants_team(program, 2, 1, 32), "too little work to wait for"
    assert not wants_team(program_of(canonical_text(layernorm)), 2, 1, 256), "means over all units"
