"""A PostgreSQL cluster of the test's own, on a Unix socket alone; run by the user that the Debian package makes, since
PostgreSQL refuses to be run by root."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType

from harness.waiting import wait_for

VERSIONS = Path("/usr/lib/postgresql")
USER = "postgres"


def programs() -> Path:
    """Where the latest version's programs are; Debian keeps them off the path."""
    found = sorted(VERSIONS.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    assert found, f"no PostgreSQL in {VERSIONS}"
    return found[-1].parent


class Cluster:
    """Entered as a context it accepts connections; left, it is gone with all its files.

    `stop(hard=True)` is what a power cut does to it (short of the disk's cache): it recovers when it is started again.
    """

    def __init__(self) -> None:
        # Not below pytest's own directory, which only root can enter; short, as the socket's path must be.
        self._directory = Path(tempfile.mkdtemp(prefix="softswitch-pg-"))
        self._data = self._directory / "data"
        self._user = pwd.getpwnam(USER)
        self._process: subprocess.Popen[bytes] | None = None
        os.chown(self._directory, self._user.pw_uid, self._user.pw_gid)

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://{USER}@/{database}?host={self._directory}"

    def __enter__(self) -> Cluster:
        try:
            self._run(
                "initdb", "--pgdata", str(self._data), "--auth", "trust", "--encoding", "UTF8", "--no-locale", "-N"
            )
            self.start()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._remove()

    def start(self) -> None:
        """Unless it runs."""
        if self._process is not None:
            return
        words = ["postgres", "-D", str(self._data), "-k", str(self._directory), "-c", "listen_addresses="]
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [programs() / words[0], *words[1:]],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._directory,
                user=self._user.pw_uid,
                group=self._user.pw_gid,
                extra_groups=[],
            )
        wait_for(self._ready, self.log, 30)

    def stop(self, hard: bool = False) -> None:
        """Ends its connections and stops; `hard`, without writing anything any more."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT if hard else signal.SIGINT)
            self._process.wait(30)
            self._process = None

    def sql(self, statement: str, database: str = "postgres") -> str:
        """What psql prints of it: a row a line, columns separated by bars."""
        return self._run("psql", "-h", str(self._directory), "-d", database, "-XqAtc", statement).strip()

    def log(self) -> str:
        return (self._directory / "log").read_text(errors="replace")[-4000:]

    def _ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log()
        words = [programs() / "pg_isready", "-q", "-h", str(self._directory)]
        return subprocess.run(words, timeout=10, check=False).returncode == 0

    def _run(self, program: str, *words: str) -> str:
        done = subprocess.run(
            [programs() / program, *words],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=self._directory,
            user=self._user.pw_uid,
            group=self._user.pw_gid,
            extra_groups=[],
        )
        assert done.returncode == 0, f"{program}: {done.stderr}"
        return done.stdout

    def _remove(self) -> None:
        self.stop(hard=True)
        shutil.rmtree(self._directory)
