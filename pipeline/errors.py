"""What can go wrong, each with the exit code the command line returns for it.

Messages say what was wrong, where, what was expected and what to do; nothing else is caught on purpose.
"""

from __future__ import annotations

from typing import ClassVar


class GristmillError(Exception):
    """A failure that the user can act on."""

    exit_code: ClassVar[int] = 1


class StageFailed(GristmillError):
    """A stage raised, or broke a law (conservation)."""


class RecipeError(GristmillError):
    """The recipe or the command is wrong; all complaints at once."""

    exit_code: ClassVar[int] = 2

    def __init__(self, complaints: list[str]) -> None:
        super().__init__("\n".join(complaints))
        self.complaints = complaints


class Alarm(GristmillError):
    """Too much was quarantined or dropped; the limit is a key of the recipe."""

    exit_code: ClassVar[int] = 3


class Locked(GristmillError):
    """Another driver works in the same folder."""

    exit_code: ClassVar[int] = 4


class InfrastructureFailed(GristmillError):
    """Workers, scheduler or disks failed; finished parts are kept and a rerun goes on from them."""

    exit_code: ClassVar[int] = 5


class IntegrityError(GristmillError):
    """Stored bytes are not what their digests say."""

    exit_code: ClassVar[int] = 6
