"""Engine programs for tests: the real one, held back until the test lets it go."""

import os
import pathlib
import shutil
import tempfile

from support.server import programs

_SCRIPT = """#!/bin/sh
# Waits for a word in the pipe, then becomes the real engine; checking a model file never waits.
for argument in "$@"; do
  if [ "$argument" = --check ]; then exec {engine} "$@"; fi
done
read word < {pipe}
exec {engine} "$@"
"""


class HeldEngine:
    """A program for `engine.program` that starts the real engine when release() is called."""

    def __init__(self):
        self._folder = pathlib.Path(tempfile.mkdtemp(prefix="held-engine-"))
        self._pipe = self._folder / "pipe"
        os.mkfifo(self._pipe)
        self.program = self._folder / "deepseek-engine"
        engine = programs() / "deepseek-engine"
        self.program.write_text(_SCRIPT.format(engine=engine, pipe=self._pipe), "utf-8")
        self.program.chmod(0o755)

    def release(self):
        """Lets the engine that waits now, or the next one, go on."""
        with self._pipe.open("w", encoding="ascii") as pipe:
            pipe.write("go\n")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self._folder)
