"""Container engine: Docker's or Podman's command line, as far as packaging asks for it."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from mapnode.errors import NodeError, WrongUse

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PROGRAMS = ("docker", "podman")


@dataclass(frozen=True)
class ContainerEngine:
    """An engine that answers.

    Attributes:
        program: Its command.
    """

    program: str

    def image(self, name: str) -> dict[str, Any] | None:
        """What the engine says of an image, or None where it has none of that name."""
        done = subprocess.run([self.program, "image", "inspect", name], capture_output=True, check=False)  # noqa: S603
        if done.returncode != 0:
            return None
        found: dict[str, Any] = json.loads(done.stdout)[0]
        return found

    def save(self, name: str, path: Path) -> None:
        """Write an image into an archive.

        Raises:
            NodeError: If that fails.
        """
        self._run(["save", "--output", str(path), name])

    def load(self, write: Callable[[IO[bytes]], None]) -> None:
        """Take an image from an archive that is written while the engine reads.

        Raises:
            NodeError: If the engine refuses it.
        """
        with subprocess.Popen(  # noqa: S603
            [self.program, "load"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdin is not None
            # An engine that has refused the archive reads no further; its words tell why.
            with contextlib.suppress(BrokenPipeError), process.stdin as file:
                write(file)
            process.stdin = None
            _, words = process.communicate()
        if process.returncode != 0:
            raise NodeError(f"{self.program} load: {_last_line(words)}")

    def _run(self, arguments: list[str]) -> None:
        done = subprocess.run([self.program, *arguments], capture_output=True, check=False)  # noqa: S603
        if done.returncode != 0:
            raise NodeError(f"{self.program} {arguments[0]}: {_last_line(done.stderr)}")


def find_engine() -> ContainerEngine:
    """The first engine that is installed and answers.

    Raises:
        WrongUse: If there is none, with the way out.
    """
    silent = []
    for program in filter(shutil.which, PROGRAMS):
        done = subprocess.run([program, "info"], capture_output=True, check=False)  # noqa: S603
        if done.returncode == 0:
            return ContainerEngine(program)
        silent.append(f"{program} does not answer: {_last_line(done.stderr)}")
    reason = "; ".join(silent) or "neither docker nor podman is installed"
    raise WrongUse(
        f"{reason}; without one `mapnode package --output FILE.tar` writes an image on a base image from a file, and "
        "`mapnode map inspect FILE.tar` reads one"
    )


def _last_line(words: bytes) -> str:
    lines = words.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "no word"
