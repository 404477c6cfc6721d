"""Voxel words: 64 voxels of a row as the bits of one number, the first voxel in the lowest bit.

Compiled functions that other kernels are made of.  Processors compare and count 64 voxels at once;
loops over single voxels are not compiled to that, so it is asked for.
"""

from typing import Any

import numba
from llvmlite import ir
from numba.extending import intrinsic

WORD = 64
_compiled: Any = intrinsic  # whose type tells of the compiler's own arguments


@_compiled  # type: ignore[untyped-decorator]
def ones(context: Any, word: Any) -> Any:
    """Count the bits of a word that are set.

    Parameters
    ----------
    word : uint64
        Any.

    Returns
    -------
    int64
    """

    def generate(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return numba.types.int64(numba.types.uint64), generate


@_compiled  # type: ignore[untyped-decorator]
def equal_word(context: Any, row: Any, start: Any, label: Any) -> Any:
    """Tell which of 64 voxels of a row are of a label.

    Parameters
    ----------
    row : ndarray of uint8, shape (N,)
        Without gaps in memory.
    start : int64
        First of the 64 voxels; all of them lie in the row, which is not checked.
    label : uint8
        Which.

    Returns
    -------
    uint64
    """
    if not isinstance(row, numba.types.Array) or row.dtype != numba.types.uint8 or row.ndim != 1:
        return None

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = ir.VectorType(ir.IntType(8), WORD)
        array = target.make_array(signature.args[0])(target, builder, arguments[0])
        first = builder.gep(array.data, [arguments[1]])
        seen = builder.load(builder.bitcast(first, vector.as_pointer()), align=1)
        nothing = ir.Constant(vector, ir.Undefined)
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), WORD), [0] * WORD)
        one = builder.insert_element(nothing, arguments[2], ir.Constant(ir.IntType(32), 0))
        wanted = builder.shuffle_vector(one, nothing, lanes)
        return builder.bitcast(builder.icmp_unsigned("==", seen, wanted), ir.IntType(WORD))

    return numba.types.uint64(row, numba.types.int64, numba.types.uint8), generate
