"""Where tasks run: in this process, on local processes, or on a Dask cluster. The only module that knows Dask.

Dask is the dispatcher, not the data plane: tasks are paths and small JSON, receipts are smaller still, and
results go through the store. At most a few tasks a thread are in flight; every submission has a key of its
own and is impure, so nothing is remembered between runs.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from itertools import islice
from multiprocessing import forkserver
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol, Self
from uuid import uuid4

from pipeline.errors import InfrastructureFailed, RecipeError
from pipeline.tasks import Task, perform

if TYPE_CHECKING:
    from distributed import Client

# One thread a worker is the unit of parallelism; native pools on top of that only fight each other.
THREADS: Final = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "ARROW_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    # Memory that a task gives back leaves the process, and a column that grows is not copied (mremap).
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_MMAP_THRESHOLD_": str(1 << 22),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 22),
}
IN_FLIGHT: Final = 3  # tasks a thread: one runs, the next waits beside it, one is on its way
SEED: Final = "pipeline.seed"  # what workers have loaded before their first task
RETRIES: Final = 3  # a task whose worker died is given to another this often


class Executor(Protocol):
    """Runs a function over tasks; receipts come in any order. Closing it lets go of what it started."""

    def map(self, tasks: Iterable[Task]) -> Iterator[dict[str, Any]]:
        """Receipts of the tasks, as they finish. Exceptions of a task are raised here."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Serial(AbstractContextManager["Serial"]):
    """Tasks run one after the other in this process: for debugging, and as the reference for the others."""

    def map(self, tasks: Iterable[Task]) -> Iterator[dict[str, Any]]:
        """Receipts in the order of the tasks."""
        return map(perform, tasks)

    def __exit__(self, *_: object) -> None:
        """Nothing was started."""


class Dask(AbstractContextManager["Dask"]):
    """Tasks run on the workers of a Dask cluster, started here (a number of workers) or found (an address).

    Raises:
        InfrastructureFailed: no scheduler at that address, or workers and scheduler died.
    """

    def __init__(self, address: str | None, workers: int) -> None:
        import dask  # noqa: PLC0415 - half a second that a serial run or a plan does not pay
        from distributed import Client, LocalCluster  # noqa: PLC0415

        dask.config.set(
            {
                "distributed.worker.daemon": False,
                "distributed.worker.profile.enabled": False,  # looks at every thread a hundred times a second
                "distributed.scheduler.allowed-failures": RETRIES,
                "distributed.admin.tick.limit": "60s",
                "distributed.comm.timeouts.connect": "20s",
                "distributed.worker.multiprocessing-method": "forkserver",
            }
        )
        self._cluster: Any = None
        try:
            if address is None:
                self._cluster = LocalCluster(
                    n_workers=workers,
                    threads_per_worker=1,
                    processes=True,
                    host="127.0.0.1",
                    dashboard_address=None,
                    memory_limit=0,
                    silence_logs=50,
                    env=THREADS,
                )
                self._client: Client = Client(self._cluster)
            elif address.startswith(("tcp://", "tls://", "ucx://", "ws://", "wss://")):
                self._client = Client(address, timeout=20)
            else:
                self._client = Client(scheduler_file=address, timeout=20)
            self._client.wait_for_workers(1, timeout=60)
        except (OSError, TimeoutError) as error:
            raise InfrastructureFailed(
                f"no Dask scheduler with a worker answers at {address or '127.0.0.1'}: {error}. "
                f"Start them (dask scheduler, dask worker) or use --executor local."
            ) from error

    def map(self, tasks: Iterable[Task]) -> Iterator[dict[str, Any]]:
        """Receipts as they finish; a few tasks a thread are in flight at any time."""
        from distributed import CancelledError, KilledWorker, as_completed  # noqa: PLC0415
        from distributed.comm import CommClosedError  # noqa: PLC0415

        waiting = iter(tasks)
        try:
            threads = sum(self._client.nthreads().values()) or 1
            first = [self._submit(task) for task in islice(waiting, IN_FLIGHT * threads)]
            running = as_completed(first)
            for future in running:
                yield future.result()
                for task in islice(waiting, 1):
                    running.add(self._submit(task))
        except KilledWorker as error:
            raise InfrastructureFailed(
                f"a task killed {RETRIES + 1} workers in turn ({error}): too little memory for a part? Lower "
                f"load.part_bytes, or give workers more. Finished parts are kept."
            ) from error
        except (CancelledError, CommClosedError, TimeoutError, OSError) as error:
            raise InfrastructureFailed(
                f"lost the Dask scheduler ({type(error).__name__}: {error}). Finished parts are kept: run again."
            ) from error

    def _submit(self, task: Task) -> Any:
        return self._client.submit(perform, task, key=f"gristmill-{uuid4().hex}", pure=False, retries=0)

    def __exit__(self, *_: object) -> None:
        """Lets go of the client, and of the cluster if it was started here."""
        self._client.close(timeout=10)
        if self._cluster is not None:
            self._cluster.close(timeout=10)


def prepare(name: str) -> None:
    """Starts the process that the workers of a local executor will be forked from, and does not wait for it.

    Its environment decides how many threads native libraries have in the workers; the driver's own stays.
    """
    if name.partition(":")[0] != "local":
        return
    multiprocessing.get_context("forkserver").set_forkserver_preload(["distributed", SEED])
    before = dict(os.environ)
    os.environ.update(THREADS)
    try:
        forkserver.ensure_running()
    finally:
        os.environ.clear()
        os.environ.update(before)


def like_a_worker() -> None:
    """Starts this command again in a worker's environment, unless it is in it; then loads what workers have loaded.

    For measurements that shall hold for workers: allocators and threads are set up when a process begins.
    """
    if any(os.environ.get(name) != value for name, value in THREADS.items()):
        os.execve(  # noqa: S606 - this very command
            sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **THREADS}
        )
    importlib.import_module(SEED)


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0))


def executor(name: str) -> Serial | Dask:
    """The executor that a name asks for.

    Args:
        name: `serial`; `local` (a process a core) or `local:N`; the address of a Dask scheduler
            (`tcp://host:8786`); or the path of a scheduler file.

    Raises:
        RecipeError: no such executor.
        InfrastructureFailed: it cannot be reached.
    """
    kind, _, rest = name.partition(":")
    if name == "serial":
        return Serial()
    if kind == "local" and (not rest or rest.isdecimal()):
        return Dask(None, int(rest) if rest else cores())
    if "://" in name or Path(name).is_file():
        return Dask(name, 0)
    raise RecipeError(
        [
            f"--executor {name}: expected serial, local, local:N, tcp://HOST:PORT or the path of a scheduler file"
        ]
    )
