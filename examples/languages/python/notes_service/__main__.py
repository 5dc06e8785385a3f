"""Waits for the ready file, and counts the notes."""

import os
import sqlite3
import sys
import time
from pathlib import Path

EX_TEMPFAIL = 75


def main():
    root = Path(os.environ.get("NOTES_ROOT", "/"))
    until = time.monotonic() + float(os.environ.get("NOTES_WAIT_S", "60"))
    while not (root / "run/bootmigrate/ready/notes").exists():
        if time.monotonic() >= until:
            print("notes is not ready", file=sys.stderr)
            return EX_TEMPFAIL
        time.sleep(0.05)
    connection = sqlite3.connect(root / "var/lib/notes/notes.db")
    (count,) = connection.execute("SELECT count(*) FROM note").fetchone()
    connection.close()
    print(f"{count} notes")
    return 0


sys.exit(main())
