"""One command, some damage and one disturbance, drawn by a number: the same number draws the same."""

import json
import os
import random
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from studies.soak.commands import Command
from studies.soak.damage import FOLDER, SURE, Damaged, damage, damage_one
from studies.soak.disturb import INTERRUPTS, KINDS, PATIENCE, SPACE, Disturbance, Ended, carry_out
from studies.soak.faults import (
    Fault,
    faults_of_end,
    faults_of_files,
    faults_of_names,
    faults_of_records,
    partials,
)
from studies.soak.places import CHECKOUT, empty_disk, fill_disk, new_place, state_of

RMSPROP = (sys.executable, "-m", "rmsprop")
QUIET = Disturbance("none", 0.0, False, 0.0)


@dataclass(frozen=True)
class ScenarioOutcome:
    """What came of a scenario.

    Attributes
    ----------
    number
        By which it was drawn.
    command, disturbance, damaged
        What was drawn.
    runs
        The run that was disturbed, or both of them, and the one after it.
    files
        How many files were compared before and after.
    faults
        What was wrong.
    """

    number: int
    command: Command
    disturbance: Disturbance
    damaged: tuple[Damaged, ...]
    runs: tuple[Ended, ...]
    files: int
    faults: tuple[Fault, ...]


@dataclass
class Soaking:
    """What all scenarios share.

    Attributes
    ----------
    shop
        The folder that places are copied from.
    seed
        Of all draws, with the number of the scenario.
    commands
        Those that are drawn from.
    machine
        The name of this machine.
    own_disk
        Whether file systems can be mounted.
    usual
        Seconds that each command took undisturbed, by its name.
    program
        What runs the commands.
    patience
        Seconds that a command may take longer than usual.
    """

    shop: Path
    seed: int
    commands: Sequence[Command]
    machine: str
    own_disk: bool = False
    usual: MutableMapping[str, float] = field(default_factory=dict)
    program: Sequence[str] = RMSPROP
    patience: float = PATIENCE

    def scenario(self, number: int) -> ScenarioOutcome:
        """Draw and carry out."""
        rng = random.Random(f"{self.seed}-{number}")
        command = rng.choices(self.commands, [one.weight for one in self.commands])[0]
        kinds = [kind for kind in KINDS if self.own_disk or kind != "full disk"]
        disturbance = Disturbance.drawn(rng, kinds)
        with new_place(self.shop, rng, self.machine, own_disk=disturbance.kind == "full disk") as place:
            damaged = damage(place, rng, rng.choice([0, 0, 1, 2, 4]))
            command = _resolved(command, place)
            if command.given and os.path.lexists(place / command.given) and rng.random() < 0.6:
                how = rng.choice(
                    [how for how in SURE if how not in {"other kind", "many digits", "half a surrogate"}]
                )
                if damage_one(place / command.given, how, rng, []):
                    damaged.append(Damaged(Path(command.given), how))
            return self._carried_out(number, command, disturbance, tuple(damaged), place)

    def _carried_out(
        self,
        number: int,
        command: Command,
        disturbance: Disturbance,
        damaged: tuple[Damaged, ...],
        place: Path,
    ) -> ScenarioOutcome:
        before, own = state_of(place), _own(place)
        times = 2 if disturbance.kind == "twice at once" else 1
        with ThreadPoolExecutor(times) as pool:
            waiting = [pool.submit(self.run, command, place, disturbance) for _ in range(times)]
            runs = [one.result() for one in waiting]
        if disturbance.kind == "full disk":
            empty_disk(place)
        after = state_of(place)
        faults = [fault for run in runs for fault in faults_of_end(command, disturbance, damaged, run)]
        if disturbance.kind not in {"closed pipe", "full output"}:
            faults += [fault for run in runs for fault in faults_of_names(command, damaged, run)]
        own = {*own, *_own(place)}
        faults += faults_of_files(command, before, after, sorted(own))
        answers = sum(run.code in command.codes for run in runs)
        if disturbance.kind in SPACE or (runs[0].sent and disturbance.kind in INTERRUPTS):
            answers = 0  # interrupted before anything was measured, the gate answers too: inconclusive
        if command.record and any(
            one.how == FOLDER and command.record.startswith(f"{one.path}/") for one in damaged
        ):
            answers = 0  # where a file stands, no record can be made, and the answer is given all the same
        faults += faults_of_records(command, before, after, place, answers)
        left = partials(after)
        if left and not any(run.code == -9 or run.hung for run in runs):
            faults.append(Fault("partial left", ", ".join(left)))
        elif left:
            runs.append(self.run(command, place, QUIET))
            last = state_of(place)
            faults += faults_of_end(command, QUIET, damaged, runs[-1])
            faults += faults_of_files(command, after, last, sorted({*own, *_own(place)}))
            still = [path for path in partials(last) if path in left]
            if still:
                faults.append(
                    Fault("partial left", f"by a killed run, and not removed by the next: {', '.join(still)}")
                )
        elif disturbance.kind == "none" and not runs[0].hung:
            self.usual[command.name] = runs[0].seconds
        return ScenarioOutcome(number, command, disturbance, damaged, tuple(runs), len(before), tuple(faults))

    def run(self, command: Command, place: Path, disturbance: Disturbance) -> Ended:
        """One run of it there."""
        return carry_out(
            [*self.program, *command.arguments],
            place / command.folder,
            _environment(place),
            disturbance,
            self.usual.get(command.name, command.seconds),
            watched=[place / "results", place / "tmp", place / "reports"],
            fill=lambda: fill_disk(place, int(disturbance.amount * 64_000)),
            patience=self.patience,
        )


def _resolved(command: Command, place: Path) -> Command:
    """With the path of a record of the gate where an argument or the given file is one."""
    records = sorted((place / "results" / "gate").rglob("*.json"))
    path = str(records[-1].relative_to(place)) if records else "results/gate/none.json"
    arguments = tuple(path if argument == "{gate}" else argument for argument in command.arguments)
    given = path if command.given == "{gate}" else command.given
    return Command(**(vars(command) | {"arguments": arguments, "given": given}))


def _environment(place: Path) -> Mapping[str, str]:
    """Everything that is written besides lies in the place."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("RMSPROP_", "XDG_", "GIT_", "MPL"))
    }
    return kept | {
        "HOME": str(place / "home"),
        "TMPDIR": str(place / "tmp"),
        "PYTHONPATH": str(CHECKOUT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "COLUMNS": "300",
    }


def _own(place: Path) -> set[str]:
    """The files of the site that stands there, by its manifest."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        names = json.loads((place / "reports" / "manifest.json").read_text("utf-8"))["files"]
        return {"reports/manifest.json", *(f"reports/{name}" for name in names)}
    return set()
