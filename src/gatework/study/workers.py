"""The jobs of a study one after the other, or in several processes that each have their share of the threads.

A process is started afresh for each group of jobs, reads what to do in the study's folder, and ends itself when its parent is
gone. One that is killed is started once more; what it had finished stays finished.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from gatework import errors
from gatework.errors import ConfigError, GateworkError, RunError
from gatework.runs.study import StudyJob
from gatework.study.job import Bench
from gatework.train.watch import Watch

POLL_S = 0.05
TRIES = 2
ERROR = '{"error"'
"""How the line begins in which a process says which of our errors ended it."""
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")
WORKER = "import sys; from gatework.study.workers import worker; sys.exit(worker(sys.argv[1], sys.argv[2:]))"


def check_processes(processes: int) -> None:
    """ConfigError for an impossible number of processes."""
    if processes < 1:
        raise ConfigError(f"processes is {processes}; expected a whole number of at least 1. Give --processes 1 or more.")


def run_jobs(study: Path, jobs: Sequence[StudyJob], processes: int, watch: Watch, on_done: Callable[[StudyJob], None]) -> None:
    """All jobs that are not finished; on_done is told of each when its scores are written.

    Jobs that share a model stay together, the training first. Raises what a job raises; RunError when a process dies twice.
    """
    groups: dict[str, list[StudyJob]] = {}
    for job in jobs:
        groups.setdefault(job.model, []).append(job)
    if processes == 1 or len(groups) == 1:
        bench = Bench(study)
        for job in jobs:
            bench.run(job)
            on_done(job)
        return
    crew = Crew(study, processes)
    try:
        crew.run([*groups.values()], on_done, watch)
    finally:
        crew.stop()


class Crew:
    """Some processes that work on one study."""

    def __init__(self, study: Path, processes: int):
        self.study = study
        self.processes = processes
        self.running: list[tuple[Process, list[StudyJob], int]] = []

    def run(self, groups: list[list[StudyJob]], on_done: Callable[[StudyJob], None], watch: Watch) -> None:
        """Every group to its end, at most `processes` at a time."""
        waiting = [(group, 1) for group in groups]
        while waiting or self.running:
            while waiting and len(self.running) < self.processes:
                group, number = waiting.pop(0)
                words = [job.folder for job in group]
                self.running.append((start(self.study, words, self.processes), group, number))
            for entry in [entry for entry in self.running if entry[0].poll() is not None]:
                self.running.remove(entry)
                process, group, number = entry
                process.close()
                if process.returncode == 0:
                    for job in group:
                        on_done(job)
                elif number < TRIES and process.returncode != 2:
                    watch.note(f"The process of '{group[0].folder}' ended with code {process.returncode}: it is started again.")
                    waiting.append((group, number + 1))
                else:
                    raise failure(process, group[0].folder, self.study)
            time.sleep(POLL_S)

    def stop(self) -> None:
        """End every process that still runs; what it finished stays finished."""
        for process, _, _ in self.running:
            process.kill()
        for process, _, _ in self.running:
            process.wait()
            process.close()
        self.running = []


class Process(subprocess.Popen[str]):
    """A process that ends when this one does. What it writes is kept in a file, since a pipe that nobody reads would stop it."""

    def __init__(self, words: Sequence[str], environment: dict[str, str]):
        self._written = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - closed by `close`
        self.output = ""
        super().__init__(
            words,
            stdin=subprocess.PIPE,
            stdout=self._written,
            stderr=self._written,
            text=True,
            env=environment,
            start_new_session=True,
        )

    def close(self) -> None:
        """Close what it held once it has ended; `output` is what it wrote."""
        assert self.stdin is not None
        self.stdin.close()
        if not self._written.closed:
            self._written.seek(0)
            self.output = self._written.read()
            self._written.close()


def start(study: Path, words: Sequence[str], processes: int, code: str = WORKER) -> Process:
    """A process for some folders of jobs, with its share of this one's threads; deaf to Ctrl-C, which this one handles."""
    threads = str(max(1, torch.get_num_threads() // processes))
    environment = {**os.environ, **dict.fromkeys(THREAD_VARIABLES, threads)}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    return Process([sys.executable, "-c", code, str(study), *words], environment)


def failure(process: Process, name: str, study: Path) -> Exception:
    """What a closed process died of, as the error that it raised where it is one of ours."""
    if process.returncode == 2:
        said = json.loads([line for line in process.output.splitlines() if line.startswith(ERROR)][-1])
        kind = getattr(errors, said["error"])
        return kind(f"{name}: {said['message']}")  # type: ignore[no-any-return]
    if process.returncode < 0:
        return RunError(
            f"The process that trained '{name}' was ended by signal {-process.returncode} twice; memory may have run out. "
            f"Expected it to finish. Give fewer --processes and start the same study again in '{study}': it goes on."
        )
    return RuntimeError(f"The process that trained '{name}' failed:\n{process.output}")


def worker(study: str, words: list[str]) -> int:
    """What a process of a study does: the jobs in these folders. 2: one of our errors, as JSON on standard output."""
    end_with_parent()
    try:
        bench = Bench(Path(study))
        jobs = {job.folder: job for job in bench.record.jobs}
        for word in words:
            bench.run(jobs[word])
    except GateworkError as error:
        sys.stdout.write("\n" + json.dumps({"error": type(error).__name__, "message": str(error)}) + "\n")
        return 2
    return 0


def end_with_parent() -> None:
    """End this process when its standard input closes: whoever started it is gone."""

    def wait() -> None:
        sys.stdin.read()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
