"""`farwatch rebuild`: runs the incidents service's own rebuild on the database of a data folder."""

import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Final

from farwatch_cli.backup import reach_database
from farwatch_cli.settings import UpSettings

_KEEPING: Final = ("FARWATCH_KEEP_RAW_DAYS", "FARWATCH_KEEP_HOURLY_DAYS", "FARWATCH_KEEP_DAILY_DAYS")


def rebuild(settings: UpSettings, environ: Mapping[str, str], *, write: bool) -> int:
    """Its exit code: 0 the tables are as the log tells, 1 they differ or could not be read."""
    folder = settings.data_dir.expanduser().absolute()
    with reach_database(folder, environ) as url:
        own = {"PATH": os.environ.get("PATH", ""), "FARWATCH_DATABASE_URL": url}
        own |= {name: environ[name] for name in _KEEPING if name in environ}
        command = [sys.executable, "-m", "farwatch_incidents.rebuild", *(["--write"] if write else [])]
        return subprocess.run(command, env=own, check=False).returncode
