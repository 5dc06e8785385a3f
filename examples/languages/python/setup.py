"""Packs the migrations when the package is built."""

import os
import subprocess
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent


class Packed(build_py):
    """As usual, and the catalogue beside the modules."""

    def run(self):
        super().run()
        workbench = os.environ.get("BOOTMIGRATE_WORKBENCH", "bootmigrate-workbench")
        output = Path(self.build_lib) / "notes_service" / "notes.catalogue"
        migrations = HERE.parent / "migrations"
        subprocess.run([workbench, "--migrations", migrations, "pack", "--output", output], check=True)


setup(name="notes-service", version="1.0", packages=["notes_service"], cmdclass={"build_py": Packed})
