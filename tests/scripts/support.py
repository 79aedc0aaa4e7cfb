"""What the tests of scripts/ share: the scripts on the path, temporary folders, runs of
a script as a user makes them."""

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "scripts"
sys.path.insert(0, str(SCRIPTS))


class FolderCase(unittest.TestCase):
    """A test case with an empty folder of its own, self.folder."""

    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)

    def run_script(self, name, *arguments):
        """Run a script in self.folder on one thread; gives the CompletedProcess."""
        return subprocess.run(
            [sys.executable, str(SCRIPTS / name), *map(str, arguments)],
            cwd=self.folder,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=60,
        )

    def assert_refused(self, run, script, *words):
        """The run left with status 2 and one error line that has all the words."""
        self.assertEqual(run.returncode, 2, run.stderr)
        self.assertTrue(run.stderr.startswith(f"{script}: error: "), run.stderr)
        self.assertEqual(run.stderr.count("\n"), 1, run.stderr)
        for word in words:
            self.assertIn(word, run.stderr)
