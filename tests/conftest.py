"""Every shape in a signature is checked while the tests run."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from jaxtyping import install_import_hook

install_import_hook(["gancore", "vidgan", "voxgan"], "beartype.beartype")
