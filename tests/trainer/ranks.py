"""Runs trainings on several ranks: `ranks PACKED ROOT PLAN`; a plan is [[name, ranks, config], ...] as JSON.

Forks the ranks from one process that has imported torch, which torchrun cannot and which saves minutes;
the environment is the one that torchrun sets.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import warnings
from pathlib import Path

from trainer.config import parse
from trainer.loop import train


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def main(packed: Path, root: Path, plan: Path) -> None:
    """Runs every leg of the plan, one after the other; fails if a rank does."""
    for name, world, config in json.loads(plan.read_text()):
        port, children = free_port(), []
        for rank in range(world):
            if (child := os.fork()) == 0:
                place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world, "LOCAL_WORLD_SIZE": world,
                         "MASTER_PORT": port}  # fmt: skip
                os.environ |= {key: str(value) for key, value in place.items()} | {"MASTER_ADDR": "127.0.0.1"}
                try:
                    train(packed, root / name, parse(config))
                    sys.stderr.flush()
                    os._exit(0)
                finally:
                    import traceback

                    traceback.print_exc()
                    os._exit(1)
            children.append(child)
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        if any(codes):
            sys.exit(f"{name}: a rank failed")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(*map(Path, sys.argv[1:]))
