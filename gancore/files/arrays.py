"""Arrays written to npy files."""

from typing import BinaryIO

import numpy as np


def write_npy(file: BinaryIO, array: np.ndarray) -> None:
    """Writes an array to an open file in NumPy's npy format. Raises OSError if the disk is full.

    np.save hands the numbers to the C library, whose error as it empties its last buffer is lost: on a full disk it
    would leave a file that is cut short, without a word.
    """
    array = np.asarray(array, order="C")
    write_npy_header(file, array.shape, array.dtype)
    file.write(array.data)


def write_npy_header(file: BinaryIO, shape: tuple[int, ...], dtype: np.dtype) -> None:
    """Writes what stands before the numbers of an array, which are to follow in C order."""
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
