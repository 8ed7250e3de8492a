"""What an operation is: arguments, a shape rule, a function, and, where there is one, an inverse.

An operation is a frozen dataclass whose fields are its arguments. Adding one is adding one file::

    @OPS.register("flip")
    @dataclass(frozen=True, slots=True)
    class Flip(Op): ...
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

from surgery.diagnostics import Diagnostic, Span
from surgery.tensors.dtype import DTYPES
from surgery.tensors.expr import Stored
from surgery.tensors.spec import Spec

if TYPE_CHECKING:
    from torch import Tensor

    from surgery.ops.ways import Way

__all__ = ["Op", "OpError", "SomeOp", "floats"]

SomeOp = TypeVar("SomeOp", bound="Op")


class OpError(ValueError):
    """An operation cannot be done: its arguments, its shapes, or (when it runs) the values are not fit for it.

    Attributes:
        argument: the name of the argument that is wrong; None where none is.
        suggestion: what would mend it, as a note under the message.
        misnamed: whether it is the name of the argument that is wrong, and not its value.
    """

    def __init__(
        self, message: str, argument: str | None = None, suggestion: str | None = None, *, misnamed: bool = False
    ) -> None:
        super().__init__(message)
        self.misnamed = misnamed
        self.message = message
        self.argument = argument
        self.suggestion = suggestion

    def diagnostic(self, span: Span | None) -> Diagnostic:
        """The error as one of code ``operation``, at the place where the operation stands."""
        notes = (self.suggestion,) if self.suggestion else ()
        return Diagnostic("operation", self.message, span, notes)


class Op:
    """The base of all operations.

    Attributes:
        name: what a recipe calls it; follows from the name of the class, unless it says another.
        arity: ``each``, one tensor to one; ``split``, one to many; ``join``, many to one; ``many``, many to many.
        ordered: whether the order of the inputs matters.
        example: a rule that uses it.
        variadic: the field that takes all positional arguments, as in ``permute(1, 0)``.
        keywords: the field that takes all other keywords, as name and integer: ``rearrange("…", h=8)``.
    """

    __slots__ = ()

    name: ClassVar[str] = ""
    arity: ClassVar[Literal["each", "split", "join", "many"]] = "each"
    ordered: ClassVar[bool] = True
    example: ClassVar[str] = ""
    variadic: ClassVar[str | None] = None
    keywords: ClassVar[str | None] = None

    def __init_subclass__(cls) -> None:
        cls.name = cls.__dict__.get("name") or re.sub(r"(?<=[a-z])(?=[A-Z])", "_", cls.__name__).lower()

    @classmethod
    def bind(cls: type[SomeOp], args: Sequence[Any], kwargs: Mapping[str, Any]) -> SomeOp:
        """The operation with these arguments.

        Types are strict: a bool is no integer, an integer may stand for a float, a dtype is a `DType`.

        Raises:
            OpError: an argument is unknown, missing, given twice, or of the wrong type or value.
        """
        from surgery.ops.arguments import bound

        return cls(**bound(cls, args, kwargs))

    def infer(self, inputs: tuple[Spec, ...], outputs: int | None) -> tuple[Spec, ...]:
        """The specifications of the results, exactly; no tensor is needed.

        `outputs` is how many results the right side of the rule names; None where it leaves that to the operation.

        Raises:
            OpError: the operation does not apply to such inputs, or gives another number of results.
        """
        raise NotImplementedError

    def apply(self, inputs: list[Tensor], outputs: int) -> list[Tensor]:
        """The results, for inputs that `infer` accepts. The inputs are never changed.

        Results may be views of the inputs, and need not be contiguous.

        Raises:
            OpError: the values are not fit, as when a cast would overflow.
        """
        raise NotImplementedError

    def without_torch(self, inputs: tuple[Spec, ...], outputs: int) -> Way | None:
        """How the same results come about on numpy arrays, for inputs that `infer` accepts; None where only torch can.

        Asked while planning, so that this itself imports neither numpy nor torch.
        """
        return None

    def rearrange(self, inputs: tuple[Stored, ...], outputs: int) -> tuple[Stored, ...] | None:
        """The results as byte ranges of the same files, or None where bytes have to be computed."""
        return None

    def in_order(self, inputs: tuple[Spec, ...]) -> bool:
        """Whether the bytes of the one result are those of the inputs, one after the other."""
        return False

    def rows(self, inputs: tuple[Spec, ...], rows: range) -> tuple[range | None, ...] | None:
        """What the `rows` of the results (indices of the first dimension) follow from, by this same operation.

        For each input its rows, None for all of it, an empty range for none of it; bit for bit, and whichever rows
        they are. None where the results have to be computed whole.
        """
        return None

    def inverse(self, inputs: tuple[Spec, ...], outputs: tuple[Spec, ...]) -> Op | None:
        """The operation that makes `inputs` of `outputs` again, bit for bit; None where there is none."""
        return self.inverse_anywhere()

    def inverse_anywhere(self) -> Op | None:
        """The same whatever the inputs are; None where there is none, or it depends on them."""
        return None

    def __str__(self) -> str:
        from surgery.ops.arguments import call

        return call(self)


def floats(*shapes: tuple[int, ...]) -> tuple[Spec, ...]:
    """Specifications of float32 tensors of these shapes, for examples.

    >>> print(*floats((2, 3)))
    float32 [2, 3]
    """
    return tuple(Spec(shape, DTYPES["float32"]) for shape in shapes)
