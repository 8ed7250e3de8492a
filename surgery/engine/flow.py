"""Expressions evaluated without torch, and their bytes block by block: no tensor is in memory that needs not be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from surgery.engine.evaluation import Evaluation, Failure, nodes
from surgery.engine.leaves import array_of, element, is_array, view_of
from surgery.engine.reading import SourceFiles
from surgery.engine.scratch import Scratch
from surgery.engine.tiles import blocks_of, copy, stretch_of
from surgery.ops.base import Op, OpError
from surgery.ops.ways import Assembly, Elementwise, Kernel, Views, Way
from surgery.tensors.expr import Computed, Held, Stored, Strided, TensorExpr
from surgery.tensors.spec import Spec

if TYPE_CHECKING:
    from surgery.ops.ways import Array

T = TypeVar("T")
_Stage: TypeAlias = "tuple[object, Callable[[], Kernel]]"

__all__ = ["BATCH", "contents", "needs_torch", "room_for", "through", "way_of"]

#: elements that pass through a chain of kernels at a time: they and what kernels keep should fit the cache
BATCH = 1 << 17


def way_of(node: Computed) -> Way | None:
    """How an operation is done without torch; None where it needs torch."""
    operation = node.operation
    return (
        operation.without_torch(tuple(i.spec for i in node.inputs), node.outputs) if isinstance(operation, Op) else None
    )


def needs_torch(expr: TensorExpr) -> bool:
    """Whether the bytes of `expr` cannot be had from files and numpy alone."""
    return not all(map(_is_plain, nodes([expr])))


def _is_plain(node: TensorExpr) -> bool:
    if isinstance(node, Computed):
        return way_of(node) is not None
    return is_array(node.tensor) if isinstance(node, Held) else isinstance(node, Stored | Strided)


def contents(
    exprs: Iterable[TensorExpr], files: SourceFiles, scratch: Scratch | None = None
) -> Iterator[Iterator[memoryview]]:
    """The bytes of expressions that need no torch, as little-endian chunks of each, in order.

    A chunk is valid until the next is asked for. All chunks of one expression are taken before those of the next.

    Args:
        exprs: what is asked for, in that order.
        files: where stored bytes are read from.
        scratch: memory to work in.

    Raises:
        Failure: an operation failed; also while chunks are taken.
        SurgeryError: a source changed or is damaged.
    """
    roots = list(exprs)
    flows = Flows(roots, files, scratch or Scratch())
    return (flows.chunks(flows.take(root)) for root in roots)


def room_for(roots: Iterable[TensorExpr]) -> int:
    """How many bytes the blocks of expressions need at most, before the first kernel of each."""
    return max(map(_room, nodes(roots)), default=0)


def _room(node: TensorExpr) -> int:
    if isinstance(node, Stored):
        return min(BATCH * node.spec.dtype.size, node.spec.nbytes)
    if isinstance(node, Computed) and isinstance(way_of(node), Elementwise):
        return 0
    # the parts that an operation gives are no larger than what they are parts of
    inputs = node.inputs if isinstance(node, Computed) else ()
    return max(stretch_of(expr.spec.nbytes) for expr in (node, *inputs))


@dataclass(slots=True)
class Flow:
    """A tensor that is still to be computed: where its elements are, and the kernels that they pass through.

    Attributes:
        source: stored bytes, or an array, perhaps of another shape.
        stages: what makes each kernel, and for whom.
    """

    spec: Spec
    source: Stored | Array
    stages: tuple[_Stage, ...] = ()


class Flows(Evaluation[Flow]):
    """Expressions as flows; see `contents`."""

    def __init__(self, roots: Sequence[TensorExpr], files: SourceFiles, scratch: Scratch) -> None:
        super().__init__(roots)
        self._files = files
        self._scratch = scratch
        #: what blocks lie in: one flow flows at a time
        self._memory = scratch.take(room_for(roots))

    def _leaf(self, expr: TensorExpr) -> Flow:
        if isinstance(expr, Stored):
            return Flow(expr.spec, expr)
        try:
            array, swap = array_of(expr, self._files, self._scratch)
        except MemoryError as error:
            raise Failure("reading it", error) from error
        return Flow(expr.spec, array, () if swap is None else (("reading it", lambda: swap),))

    def _apply(self, node: Computed, inputs: list[Flow]) -> list[Flow]:
        way = way_of(node)
        assert way is not None, f"{node.operation} needs no torch"
        if isinstance(way, Elementwise):
            (flow,) = inputs
            return [Flow(node.spec, flow.source, (*flow.stages, (node.operation, way.start)))]
        specs = node.operation.infer(tuple(i.spec for i in node.inputs), node.outputs)
        try:
            if isinstance(way, Views):
                return [Flow(spec, view) for spec, view in zip(specs, way.of(self._array(inputs[0])), strict=True)]
            return [Flow(specs[0], self._assembled(way, inputs, specs[0]))]
        except (OpError, MemoryError) as error:
            raise Failure(node.operation, error) from error

    def _assembled(self, way: Assembly, inputs: list[Flow], spec: Spec) -> Array:
        result = self._new(spec)
        for part, what in way.pieces([self._array(flow) for flow in inputs], result):
            copy(part, what)
        return result

    def _new(self, spec: Spec) -> Array:
        memory = self._scratch.take(spec.nbytes)
        return memory.view(element(spec.dtype)).reshape(spec.shape)

    def _array(self, flow: Flow) -> Array:
        """The elements of a flow in memory, in the shape of its tensor. It flows from there afterwards."""
        if isinstance(flow.source, Stored) or flow.stages:
            array = self._new(flow.spec)
            if isinstance(flow.source, Stored) and not flow.stages:
                self._files.read_all(flow.source.ranges, view_of(array))
            else:
                _fill(array.reshape(-1), self._blocks(flow))
            flow.source, flow.stages = array, ()
        elif flow.source.shape != flow.spec.shape:
            if not flow.source.flags.c_contiguous:
                ordered = self._new(flow.spec).reshape(flow.source.shape)
                copy(ordered, flow.source)
                flow.source = ordered
            flow.source = flow.source.reshape(flow.spec.shape)
        return flow.source

    def chunks(self, flow: Flow) -> Iterator[memoryview]:
        """The bytes of a flow, in order."""
        return map(view_of, self._blocks(flow))

    def _blocks(self, flow: Flow) -> Iterator[Array]:
        return _passed(self._raw(flow), flow.stages)

    def _raw(self, flow: Flow) -> Iterator[Array]:
        """The elements before the first kernel."""
        import numpy

        if not isinstance(flow.source, Stored):
            yield from blocks_of(flow.source, self._memory)
            return
        dtype = flow.source.spec.dtype
        for chunk in self._files.chunks(flow.source.ranges, view_of(self._memory[: BATCH * dtype.size])):
            yield numpy.frombuffer(chunk, element(dtype))


def through(chunks: Iterable[memoryview], stages: Sequence[Computed]) -> Iterator[memoryview]:
    """The bytes of a tensor after elementwise operations, from the bytes before, which come in order.

    Raises:
        Failure: an operation failed.
    """
    import numpy

    if not stages:
        return iter(chunks)
    kind = element(stages[0].inputs[0].spec.dtype)
    ways = [(node.operation, way_of(node)) for node in stages]
    made = [(operation, way.start) for operation, way in ways if isinstance(way, Elementwise)]
    assert len(made) == len(stages), "all are elementwise"
    return map(view_of, _passed((numpy.frombuffer(chunk, kind) for chunk in chunks), made))


def _passed(wholes: Iterable[Array], stages: Iterable[_Stage]) -> Iterator[Array]:
    """Elements after the kernels that they pass through."""
    kernels = [(operation, start()) for operation, start in stages]
    for whole in wholes:
        for at in range(0, whole.size, BATCH) if kernels else (0,):
            block = whole[at : at + BATCH] if kernels else whole
            for operation, kernel in kernels:
                block = _guarded(operation, kernel, block)
            yield block
    for operation, kernel in kernels:
        _guarded(operation, kernel.finish)


def _guarded(operation: object, function: Callable[..., T], *arguments: Array) -> T:
    try:
        return function(*arguments)
    except (OpError, MemoryError) as error:
        raise Failure(operation, error) from error


def _fill(flat: Array, blocks: Iterable[Array]) -> None:
    at = 0
    for block in blocks:
        flat[at : at + block.size] = block
        at += block.size
