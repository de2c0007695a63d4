"""The record of a run of the benchmark matrix: one invocation that measured, in a folder of its own."""

from typing import Literal

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from rmsprop.suite.records.environment import Environment

SCHEMA = 1


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class RunRecord:
    """One invocation: written before anything is measured, and never edited.

    Attributes
    ----------
    id
        The name of the folder: start, commit and version of torch; unique on its machine.
    environment
        Machine, versions and commit; `started` is the start of the run.
    profile
        Which list of cases was asked for.
    cases
        The ids of the cases that were asked for, in order.
    kind, schema
        Which kind of record it is, and in which schema.
    """

    id: str
    environment: Environment
    profile: str
    cases: tuple[str, ...]
    kind: Literal["run"] = "run"
    schema: int = SCHEMA
