"""Starts commands of `rmsprop`, disturbs them and damages files at random, for a given time, and counts.

    python -m studies.soak --minutes 30 --output studies/results/soak-study

Each scenario is one command in a folder of its own, drawn by the seed and the scenario's number:
`python -m studies.soak --seed SEED --scenario NUMBER` repeats one, but for the moment at which a busy
machine lets a signal come. Exit code 0: no fault. 1: at least one. 2: an option is wrong.
130: interrupted. The record is written in each case.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rmsprop.cache import cache_folder
from rmsprop.errors import UserError
from rmsprop.suite.cli.interrupts import catch_interrupts
from rmsprop.suite.measure.capture import capture_environment
from rmsprop.suite.records.files import write_atomically, write_new
from rmsprop.suite.words import printable
from studies.soak.commands import COMMANDS, Command
from studies.soak.faults import KINDS
from studies.soak.page import page
from studies.soak.places import CHECKOUT, can_mount, new_place, workshop
from studies.soak.scenario import QUIET, ScenarioOutcome, Soaking

SCHEMA = 1
_PREPARED = {"report", "report --readme", "run"}
"""Commands for which a site stands there already."""
_BUILD_SECONDS = 600.0
"""Patience with a compiler."""


def soak(soaking: Soaking, numbers: Iterable[int], seconds: float) -> Iterator[ScenarioOutcome]:
    """Scenario after scenario, until the time is over."""
    end = time.monotonic() + seconds
    for number in numbers:
        if time.monotonic() >= end:
            return
        yield soaking.scenario(number)


def prepare(soaking: Soaking) -> None:
    """What a user has who has used the commands before: a built kernel, fonts, and a site."""
    needed = [command for command in COMMANDS if command.name in {"build", "report"}]
    if not any(command.name in _PREPARED for command in soaking.commands):
        return
    patient = replace(soaking, patience=_BUILD_SECONDS)
    with new_place(soaking.shop, random.Random(0), soaking.machine, own_disk=False) as place:
        shutil.rmtree(place / "reports")
        if (kernels := cache_folder() / "kernels").is_dir():
            shutil.copytree(kernels, place / "home" / ".cache" / "rmsprop-bench" / "kernels")
        for command in needed:
            ended = patient.run(command, place, QUIET)
            if ended.code:
                raise UserError(
                    f"`rmsprop {command.name}` fails before anything disturbs it: {ended.err[-500:]}"
                )
        shutil.copytree(place / "reports", soaking.shop / "site")
        shutil.rmtree(soaking.shop / "home")
        shutil.copytree(place / "home", soaking.shop / "home")


def counted(outcomes: Sequence[ScenarioOutcome]) -> dict[str, Any]:
    """How often each command ran, what was done to it, how it ended and what was wrong."""
    runs: dict[str, Counter[str]] = defaultdict(Counter)
    codes: dict[str, Counter[str]] = defaultdict(Counter)
    for outcome in outcomes:
        name = outcome.command.name
        kind = outcome.disturbance.kind
        happened = outcome.runs[0].sent or kind in {"none", "closed pipe", "full output", "twice at once"}
        runs[name][kind if happened else f"{kind}, which came too late"] += 1
        codes[name].update(str(run.code) for run in outcome.runs)
    damaged = [one for outcome in outcomes for one in outcome.damaged]
    faults = Counter(fault.kind for outcome in outcomes for fault in outcome.faults)
    return {
        "scenarios": len(outcomes),
        "runs": sum(len(outcome.runs) for outcome in outcomes),
        "seconds_of_runs": round(sum(run.seconds for outcome in outcomes for run in outcome.runs), 1),
        "scenarios_by_command_and_disturbance": {name: dict(found) for name, found in sorted(runs.items())},
        "exit_codes": {name: dict(sorted(found.items())) for name, found in sorted(codes.items())},
        "damaged_files": dict(sorted(Counter(one.how for one in damaged).items())),
        "files_compared": sum(outcome.files for outcome in outcomes),
        "faults": {kind: faults[kind] for kind in KINDS},
    }


def described(soaking: Soaking, outcome: ScenarioOutcome) -> list[dict[str, str]]:
    """Each fault of a scenario with what repeats it."""
    return [
        {
            "kind": fault.kind,
            "detail": printable(
                fault.detail.replace(str(soaking.shop), "SHOP").replace(str(CHECKOUT), "CHECKOUT")
            ),
            "command": f"rmsprop {' '.join(outcome.command.arguments)}",
            "disturbance": outcome.disturbance.words,
            "damaged": "; ".join(f"{printable(str(one.path))}: {one.how}" for one in outcome.damaged),
            "repeat": f"python -m studies.soak --seed {soaking.seed} --scenario {outcome.number}",
        }
        for fault in outcome.faults
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Soak, store the record, print the counts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scenario", type=int, help="repeat this one only")
    parser.add_argument("--command", action="append", choices=[command.name for command in COMMANDS])
    parser.add_argument("--results", type=Path, default=CHECKOUT / "results", help="what is copied")
    parser.add_argument("--output", type=Path, help="the folder for the record; without it none is stored")
    options = parser.parse_args(arguments)
    if os.name != "posix":
        raise UserError("the soak sends POSIX signals: run it on Linux")
    chosen: list[Command] = [one for one in COMMANDS if not options.command or one.name in options.command]
    _take_signals()
    environment = capture_environment()
    outcomes: list[ScenarioOutcome] = []
    faults: list[dict[str, str]] = []
    interrupted, begun = False, time.monotonic()
    with workshop(options.results) as shop:
        soaking = Soaking(shop, options.seed, chosen, environment.machine, can_mount())
        numbers = [options.scenario] if options.scenario is not None else iter(range(1, 10**9))
        try:
            prepare(soaking)
            for outcome in soak(soaking, numbers, options.minutes * 60):
                outcomes.append(outcome)
                found = described(soaking, outcome)
                faults += found
                _tell(outcome, found)
        except KeyboardInterrupt:
            interrupted = True
    record = {
        "kind": "soak",
        "schema": SCHEMA,
        "environment": asdict(environment),
        "seed": options.seed,
        "scenario": options.scenario,
        "minutes": options.minutes,
        "seconds": round(time.monotonic() - begun, 1),
        "interrupted": interrupted,
        "counts": counted(outcomes),
        "faults": faults,
    }
    print(json.dumps(record["counts"]["faults"]))
    if options.output:
        stamp = environment.started[:19].replace("-", "").replace(":", "") + "Z"
        path = write_new(options.output, f"{stamp}-seed{options.seed}", json.dumps(record, indent=1) + "\n")
        write_atomically(options.output / "README.md", page(options.output))
        print(path)
    return 130 if interrupted else 1 if faults else 0


def _take_signals() -> None:
    """Interrupts end the soak, but for those that are ignored, as under nohup; commands ignore none."""
    catch_interrupts()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:  # which the commands would inherit
            signal.signal(number, lambda number, frame: None)


def _tell(outcome: ScenarioOutcome, faults: Sequence[dict[str, str]]) -> None:
    codes = ", ".join(str(run.code) for run in outcome.runs)
    wrong = "".join(f"; {fault.kind}" for fault in outcome.faults)
    seconds = sum(run.seconds for run in outcome.runs)
    print(
        f"{outcome.number}: {outcome.command.name}, {outcome.disturbance.kind}, "
        f"{len(outcome.damaged)} damaged: {codes} in {seconds:.0f} s{wrong}",
        file=sys.stderr,
        flush=True,
    )
    for fault in faults:
        print(json.dumps(fault), file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UserError as error:
        print(f"studies.soak: {error}", file=sys.stderr)
        sys.exit(2)
