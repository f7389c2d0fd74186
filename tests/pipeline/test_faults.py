"""Real processes are killed; what was finished is kept, and the rerun ends with the same bytes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from pipeline.store import read_marker
from tests import corpus, results
from tests.cluster import cluster
from tests.command import COMMAND, gristmill, start, surroundings

MOMENTS = 10


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a run that nobody disturbed."""
    path = corpus.write(tmp_path_factory.mktemp("undisturbed"))
    gristmill("run", path, "--executor", "serial")
    return path.parent / "work"


def markers(work: Path) -> set[str]:
    """The results that are finished."""
    return {
        path.relative_to(work).as_posix()
        for path in (work / "store").rglob("*.json")
        if not {"packed", "specs", "inputs.json"} & set(path.parts) and read_marker(path.with_suffix(""))
    }


def wait_for(work: Path, count: int, process: subprocess.Popen[bytes]) -> None:
    """Returns once that many results are finished, or the process is."""
    deadline = time.monotonic() + 120
    while len(markers(work)) < count and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)


def same(work: Path, undisturbed: Path) -> None:
    """Both folders hold the same data, shards and fates."""
    assert results.data(work) == results.data(undisturbed)
    assert results.packed(work) == results.packed(undisturbed)
    assert results.fates(work) == results.fates(undisturbed)


@pytest.mark.parametrize("moment", range(MOMENTS))
def test_a_killed_driver_loses_no_finished_part(undisturbed: Path, tmp_path: Path, moment: int) -> None:
    """SIGKILL at ten moments spread over the run: the next run makes only what was unfinished."""
    path = corpus.write(tmp_path)
    work = tmp_path / "work"
    process = start("run", path, "--executor", "serial" if moment % 3 else "local:2")
    wait_for(work, 1 + len(markers(undisturbed)) * moment // MOMENTS, process)
    process.kill()
    process.wait()
    finished = {name: (work / name).stat().st_mtime_ns for name in markers(work)}
    gristmill("run", path, "--executor", "serial")
    kept = {name: (work / name).stat().st_mtime_ns for name in finished}
    assert kept == finished
    same(work, undisturbed)


def workers_of(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """The worker processes below a driver."""
    found = []
    for child in psutil.Process(process.pid).children(recursive=True):
        try:
            if not child.children() and "resource_tracker" not in " ".join(child.cmdline()):
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


def test_a_killed_worker_is_replaced(undisturbed: Path, tmp_path: Path) -> None:
    """SIGKILL of a worker in the middle of its task: the run goes on and ends with the same bytes."""
    path = corpus.write(tmp_path)
    process = start("run", path, "--executor", "local:2")
    wait_for(tmp_path / "work", 6, process)
    for worker in workers_of(process)[:1]:
        worker.kill()
    assert process.wait(200) == 0
    same(tmp_path / "work", undisturbed)


def test_a_killed_scheduler_ends_the_run_with_infrastructure_failed(
    undisturbed: Path, tmp_path: Path
) -> None:
    """Exit code 5; nothing finished is lost, and the next run ends with the same bytes."""
    path = corpus.write(tmp_path)
    with cluster(tmp_path, workers=1) as found:
        driver = start("run", path, "--executor", found.address)
        wait_for(tmp_path / "work", 6, driver)
        found.scheduler.kill()
        assert driver.wait(120) == 5
    record = json.loads(gristmill("status", "--json", "--work", tmp_path / "work").stdout)
    assert record["state"] == "failed"
    assert "run again" in record["error"]
    gristmill("run", path, "--executor", "serial")
    same(tmp_path / "work", undisturbed)


def test_the_second_driver_exits_4_and_names_the_first(tmp_path: Path) -> None:
    """Two drivers in one folder of results."""
    path = corpus.write(tmp_path)
    process = start("run", path, "--executor", "local:1")
    try:
        wait_for(tmp_path / "work", 1, process)
        said = gristmill("run", path, expect=4).stderr
        assert f"process {process.pid}" in said
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_the_first_interrupt_finishes_what_is_in_flight(undisturbed: Path, tmp_path: Path) -> None:
    """SIGINT ends the run in an orderly way; the next run goes on from there."""
    path = corpus.write(tmp_path)
    process = start("run", path, "--executor", "serial")
    wait_for(tmp_path / "work", 8, process)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    record = json.loads(gristmill("status", "--json", "--work", tmp_path / "work").stdout)
    assert record["state"] == "interrupted"
    gristmill("run", path, "--executor", "serial")
    same(tmp_path / "work", undisturbed)


def test_a_file_that_cannot_be_written_is_said_plainly(tmp_path: Path) -> None:
    """No room for a result: exit code 5, the message names the cause, and nothing half-written is used."""
    path = corpus.write(tmp_path)
    limit = ["prlimit", "--fsize=4096", *COMMAND]
    done = subprocess.run(
        [*limit, "run", str(path), "--executor", "serial"],
        capture_output=True,
        text=True,
        check=False,
        **surroundings(),
    )
    assert done.returncode == 5, done.stderr
    assert "File too large" in done.stderr
    gristmill("run", path, "--executor", "serial")
