"""Every shape in a signature is checked while the tests run, however long that takes."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from hypothesis import settings
from jaxtyping import install_import_hook

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")  # no test depends on how busy the machine is

install_import_hook(["gancore", "vidgan", "voxgan"], "beartype.beartype")
