"""Compiled kernels follow the sources of the kernels that they call, not only their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from stages.kernels import forget_stale

CALLEE = "import numba\n\n@numba.njit(cache=True)\ndef answer():\n    return {}\n"
CALLER = "import numba\nfrom {0}.callee import answer\n\n@numba.njit(cache=True)\ndef ask():\n    return answer()\n"


def asked(package: Path) -> int:
    """What the caller answers in a fresh process, which forgets what is stale first."""
    code = (
        f"from pathlib import Path; from stages.kernels import forget_stale; forget_stale(Path({str(package)!r}));"
        f"from {package.name}.caller import ask; print(ask())"
    )
    home = str(Path(__file__).parents[2])
    path = os.pathsep.join([str(package.parent), home])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


def test_a_kernel_whose_callee_changed_is_compiled_anew(tmp_path: Path) -> None:
    """Numba alone would go on with the old callee, which it had put into the caller."""
    package = tmp_path / "kernelset"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "callee.py").write_text(CALLEE.format(1))
    (package / "caller.py").write_text(CALLER.format(package.name))
    assert asked(package) == 1
    (package / "callee.py").write_text(CALLEE.format(22))
    assert asked(package) == 22


def test_what_is_newer_than_all_sources_stays(tmp_path: Path) -> None:
    """Only compiled kernels go, and only stale ones; a folder without any is fine."""
    (tmp_path / "kernel.py").write_text("")
    forget_stale(tmp_path)
    cache = tmp_path / "__pycache__"
    cache.mkdir()
    for name in ("old.nbi", "old.1.nbc", "old.pyc", "new.nbi"):
        (cache / name).write_bytes(b"")
    written = (tmp_path / "kernel.py").stat().st_mtime_ns
    for name in ("old.nbi", "old.1.nbc", "old.pyc"):
        os.utime(cache / name, ns=(written - 1, written - 1))
    forget_stale(tmp_path)
    assert sorted(path.name for path in cache.iterdir()) == ["new.nbi", "old.pyc"]
