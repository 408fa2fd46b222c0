"""Cell: the record that declares a recurrent cell. Names: what its equations read, by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gatework.cells.functions import Operand
from gatework.errors import ConfigError


class Names:
    """Named operands, read as attributes: `x.forget`, `s.c`.

    kind: what they are, for the message when an equation asks for a name that is not there.
    """

    def __init__(self, kind: str, values: Mapping[str, Operand]) -> None:
        self.__dict__.update(values)
        self.__dict__["__kind__"] = kind

    if TYPE_CHECKING:

        def __getattribute__(self, name: str) -> Operand: ...

    else:

        def __getattr__(self, name: str) -> Operand:
            """Called only for a name that is not there."""
            known = ", ".join(key for key in self.__dict__ if not key.startswith("__")) or "none"
            raise AttributeError(
                f"The equations ask for {self.__dict__.get('__kind__', 'name')} '{name}'; declared are: {known}. "
                f"Add it to the Cell or correct the name in its step."
            )


Step = Callable[[Names, Names, Names, Names], Mapping[str, Operand]]
"""step(x, r, s, w) -> the new states. x, r: what the input and the recurrence add to each gate, biases included, and in x the
inputs that bypass the gates; s: the states one step ago; w: the weights that each unit has of its own, and the matrices."""

TORCH_MATRICES = ("ih", "hh", "hr")
"""A matrix is the parameter `weight_NAME`; these names are those of torch's own weights."""


@dataclass(frozen=True)
class Cell:
    """A recurrent cell, declared by its equations.

    name: what users type, e.g. `lstm`. title: one line for people.
    gates: in the order of the blocks of the weight matrices (num_gates * hidden_size, …).
    states: in the order in which layers return them; the first is `h`, the output, which the recurrent product reads.
    step: the equations, straight-line arithmetic with the functions of `cells.functions`.
    unit_weights: names of weights of shape (hidden_size,), e.g. peepholes.
    unit_start: unit weights that start at a number, or are drawn evenly from (low, high), instead of like the other weights.
    initial_bias: gates whose input bias starts at a number instead of being drawn (their recurrent bias then starts at 0).
    paper: where the equations come from.
    matrices: names of learned matrices (hidden_size, hidden_size), for products inside the step: `w.NAME @ (reset * s.h)`.
    inputs: names of the last columns of the layer's input, one column each. They do not go into the gates' products; the step
        reads them as `x.NAME`, one number for all units of a sequence.
    unit_inputs: names of inputs with one number for each unit: hidden_size columns each, behind those of `inputs`; the step reads
        them as `x.NAME`.
    shared_gates: gates of which the cells of a block have one in common, where the layer has `cells_per_block` above 1.
    input_only: gates without a recurrent product: they have no rows in the layer's `weight_hh` and `bias_hh`, and no `r.NAME`.
    Raises ConfigError for a declaration that contradicts itself.
    """

    name: str
    title: str
    gates: tuple[str, ...]
    states: tuple[str, ...]
    step: Step
    unit_weights: tuple[str, ...] = ()
    initial_bias: Mapping[str, float] = field(default_factory=dict, hash=False)
    paper: str = ""
    unit_start: Mapping[str, float | tuple[float, float]] = field(default_factory=dict, hash=False)
    matrices: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    shared_gates: tuple[str, ...] = ()
    input_only: tuple[str, ...] = ()
    unit_inputs: tuple[str, ...] = ()

    @property
    def recurrent_gates(self) -> tuple[str, ...]:
        """The gates that have a recurrent product, in the order of the blocks."""
        return tuple(gate for gate in self.gates if gate not in self.input_only)

    def bypassing(self, hidden_size: int) -> int:
        """Columns of the layer's input that do not go into the gates' products."""
        return len(self.inputs) + len(self.unit_inputs) * hidden_size

    def __post_init__(self) -> None:
        if not self.gates or len(set(self.gates)) < len(self.gates):
            raise ConfigError(f"Cell '{self.name}' has gates {self.gates}; expected at least one, each named once. Rename them.")
        if self.states[:1] != ("h",) or len(set(self.states)) < len(self.states):
            raise ConfigError(
                f"Cell '{self.name}' has states {self.states}; expected different names of which the first is 'h', the output. "
                f'Write states=("h", …).'
            )
        strange = sorted(set(self.unit_start) - set(self.unit_weights))
        if strange:
            raise ConfigError(
                f"Cell '{self.name}' starts the unit weights {', '.join(strange)} at a number; declared are {self.unit_weights}. "
                f"Correct the name in unit_start."
            )
        unknown = sorted(set(self.initial_bias) - set(self.gates))
        if unknown:
            raise ConfigError(
                f"Cell '{self.name}' sets an initial bias for {', '.join(unknown)}; its gates are {', '.join(self.gates)}. "
                f"Correct the name in initial_bias."
            )
        self._check_shared_names()
        for option in ("shared_gates", "input_only"):
            unknown = [gate for gate in getattr(self, option) if gate not in self.gates]
            if unknown:
                raise ConfigError(
                    f"Cell '{self.name}' names {', '.join(unknown)} in {option}; its gates are {', '.join(self.gates)}. "
                    f"Correct the name in {option}."
                )

    def _check_shared_names(self) -> None:
        """ConfigError where one attribute of x or of w would stand for two things, or one parameter for two weights."""
        reserved = [name for name in self.matrices if name in TORCH_MATRICES]
        if reserved:
            raise ConfigError(
                f"Cell '{self.name}' names a matrix '{reserved[0]}'; expected another name than {', '.join(TORCH_MATRICES)}: "
                f"torch's own weights have these. Rename it."
            )
        pairs = (("w", "unit_weights", "matrices"), ("x", "gates", "inputs"), ("x", "gates", "unit_inputs"))
        for letter, one, other in (*pairs, ("x", "inputs", "unit_inputs")):
            names = [*getattr(self, one), *getattr(self, other)]
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ConfigError(
                    f"Cell '{self.name}' names {', '.join(twice)} twice in {one} and {other}; the step reads both as "
                    f"{letter}.NAME, so each name can stand for one thing. Rename one."
                )
