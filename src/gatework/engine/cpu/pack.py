"""Weights in the order in which the kernels read them: [tile of units][k][block][lane]; and gradients back in torch's order."""

import torch
from torch import Tensor
from torch.nn.functional import pad

from gatework.engine.cpu.program import Block


def padded_to(size: int, multiple: int) -> int:
    """The next multiple."""
    return -(-size // multiple) * multiple


def by_block(weights: Tensor, gates: tuple[str, ...], blocks: tuple[Block, ...], units: int) -> Tensor:
    """(num_gates * units, K) → (blocks, units, K): the rows of each block's gate."""
    per_gate = weights.view(len(gates), units, weights.shape[1])
    order = [gates.index(block.gate) for block in blocks]
    return per_gate if order == list(range(len(gates))) else per_gate[order]


def pack_forward(weights: Tensor, gates: tuple[str, ...], blocks: tuple[Block, ...], units: int, width: int) -> Tensor:
    """(num_gates * units, K) → [tile][k][block][width], zeros beyond the last unit."""
    tiles = padded_to(units, width) // width
    per_block = by_block(weights, gates, blocks, units)
    if units % width:
        per_block = pad(per_block, (0, 0, 0, tiles * width - units))
    return per_block.reshape(len(blocks), tiles, width, weights.shape[1]).permute(1, 3, 0, 2).contiguous()


def pack_bias(
    input_bias: Tensor | None, recurrent_bias: Tensor | None, gates: tuple[str, ...], blocks: tuple[Block, ...], units: int,
    width: int, like: Tensor,
) -> Tensor:  # fmt: skip
    """[tile][block][width]: the input's bias where the input goes into a block, plus the recurrence's likewise."""
    tiles = padded_to(units, width) // width
    total = like.new_zeros(len(blocks), tiles * width)
    if input_bias is None or recurrent_bias is None:
        return total.view(len(blocks), tiles, width).transpose(0, 1).contiguous()
    of_x, of_r = (by_block(bias.view(-1, 1), gates, blocks, units).squeeze(-1) for bias in (input_bias, recurrent_bias))
    if all(block.has_x and block.has_r for block in blocks):
        torch.add(of_x, of_r, out=total[:, :units])
    else:
        for number, block in enumerate(blocks):
            for bias, is_in in ((of_x, block.has_x), (of_r, block.has_r)):
                if is_in:
                    total[number, :units] += bias[number]
    return total.view(len(blocks), tiles, width).transpose(0, 1).contiguous()


def pack_backward(
    weights: Tensor, gates: tuple[str, ...], blocks: tuple[Block, ...], units: int, width: int, vectors: int
) -> Tensor:
    """Recurrent weights (num_gates * units, units) → [tile of h][block · padded unit][vectors · width], for d_sums · weights."""
    padded, columns = padded_to(units, width), vectors * width
    tiles = padded_to(units, columns) // columns
    per_block = pad(by_block(weights, gates, blocks, units), (0, tiles * columns - units, 0, padded - units))
    return per_block.reshape(len(blocks) * padded, tiles, columns).transpose(0, 1).contiguous()


def pack_units(unit_weights: list[Tensor], units: int, padded: int, like: Tensor) -> Tensor:
    """(number of unit weights, padded)."""
    total = like.new_zeros(max(1, len(unit_weights)), padded)
    for number, weight in enumerate(unit_weights):
        total[number, :units] = weight
    return total


def unpack(gradient: Tensor, gates: tuple[str, ...], blocks: tuple[Block, ...], units: int) -> Tensor:
    """(blocks * padded, K) → (num_gates * units, K) in the order of the gates; zeros for a gate without a block."""
    per_block = gradient.reshape(len(blocks), -1, gradient.shape[1])[:, :units]
    names = [block.gate for block in blocks]
    if tuple(names) == gates:
        return per_block.reshape(len(gates) * units, -1)
    zero = per_block.new_zeros(per_block.shape[1:])
    return torch.cat([per_block[names.index(gate)] if gate in names else zero for gate in gates])
