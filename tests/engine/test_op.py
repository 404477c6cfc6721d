"""Op, Reduction and the only caller of kernels."""

import numpy as np
import pytest

from volkit.engine.op import Op, Reduction, run_block, run_partial
from volkit.errors import ContractError
from volkit.geometry import Box, Grid

GRID = Grid(Box.from_shape((4, 4, 4)), (2, 2, 2), halo=(1, 1, 1))


def test_result_that_covers_read_is_cropped_to_write() -> None:
    block = GRID[0]
    values = np.arange(27).reshape(3, 3, 3)
    op = Op(lambda block, v: v, dtype=values.dtype)
    np.testing.assert_array_equal(run_block(op, block, [values]), values[:2, :2, :2])


def test_result_that_covers_write_is_kept() -> None:
    op = Op(lambda block: np.full(block.write.shape, 7, np.uint8), dtype=np.uint8)
    assert run_block(op, GRID[7], []).tolist() == np.full((2, 2, 2), 7).tolist()


def test_channels_come_first() -> None:
    op = Op(lambda block, v: np.stack([v, v]), dtype=np.int64, channels=2)
    values = np.zeros((3, 3, 3), np.int64)
    assert run_block(op, GRID[0], [values]).shape == (2, 2, 2, 2)


def test_wrong_dtype_is_refused_with_both_sides() -> None:
    op = Op(lambda block: np.zeros(block.write.shape, np.float64), dtype=np.float32)
    with pytest.raises(ContractError, match=r"returned float64 \(2, 2, 2\).*declares float32"):
        run_block(op, GRID[0], [])


def test_wrong_shape_is_refused() -> None:
    op = Op(lambda block: np.zeros((5, 5, 5), np.uint8), dtype=np.uint8)
    with pytest.raises(ContractError, match=r"\(5, 5, 5\)"):
        run_block(op, GRID[0], [])


def test_a_failing_kernel_keeps_its_error_and_names_the_block() -> None:
    def divide(block: object) -> None:
        raise ZeroDivisionError("by nothing")

    with pytest.raises(ZeroDivisionError, match="by nothing") as caught:
        run_block(Op(divide, dtype=np.uint8), GRID[6], [])
    assert "block (1, 1, 0) [2:4, 2:4, 0:2]" in caught.value.__notes__[0]


def test_params_that_are_no_json_are_refused() -> None:
    with pytest.raises(ContractError, match="not JSON"):
        Op(lambda block: None, dtype=np.uint8, params={"model": object()})
    with pytest.raises(ContractError, match="not JSON"):
        Reduction(lambda block: {}, lambda parts: parts[0], params={"t": float("nan")})


def test_a_partial_that_is_no_columns_is_refused() -> None:
    with pytest.raises(ContractError, match="dict of arrays"):
        run_partial(Reduction(lambda block: 3, lambda parts: parts[0]), GRID[0], [])
