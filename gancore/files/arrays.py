"""Arrays written to npy files."""

from typing import BinaryIO

import numpy as np


def write_npy(file: BinaryIO, array: np.ndarray) -> None:
    """Writes an array to an open file in NumPy's npy format. Raises OSError if the disk is full.

    np.save hands the numbers to the C library, whose error as it empties its last buffer is lost: on a full disk it
    would leave a file that is cut short, without a word.
    """
    array = np.asarray(array, order="C")
    header = {"descr": np.lib.format.dtype_to_descr(array.dtype), "fortran_order": False, "shape": array.shape}
    np.lib.format.write_array_header_1_0(file, header)
    file.write(array.data)
