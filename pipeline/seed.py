"""What local workers have loaded before their first task: the process that they are forked from imports this.

Libraries and Numba's set-up then cost their second and their hundred megabytes once, not once a worker, and
while the driver still reads the recipe. Nothing here may start threads, which do not live through a fork
(Arrow's own does: it watches forks). A worker that was started otherwise loads the same when it needs it.
"""

# ruff: noqa: F401

import ftfy
import numba.core.entrypoints
import pyarrow.compute
import pyarrow.parquet
import regex

import pipeline.cli
import pipeline.tasks

# Numba would import whatever installed package extends it (awkward: 40 MB); kernels here take arrays only.
numba.core.entrypoints._already_initialized = True  # noqa: SLF001

import stages.kernels.packing  # noqa: E402 - compiled when imported: its signatures are declared
