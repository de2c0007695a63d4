"""The ablation: one process after the other, each with all of its turns in a row, as most tools measure."""

import random
from collections.abc import Callable, Iterator

from rmsprop.suite.gate.session import Session
from rmsprop.suite.gate.turns import Launched, LaunchJob, Turns, alive, arms_of, shuffled, take_turns, watched
from rmsprop.suite.gate.worker_client import Arm


def run_sequential_launch(
    base: Arm,
    head: Arm,
    job: LaunchJob,
    *,
    advance: Callable[[], None] = lambda: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Launched:
    """As `rmsprop.suite.gate.turns.run_launch`, but the processes live one after the other."""

    def measure(draw: random.Random) -> Iterator[tuple[str, Turns]]:
        order = shuffled(job.steps, draw)
        turns: dict[str, Turns] = {case: {} for case in order}
        arms = arms_of(base, head, job)
        for name in shuffled(arms, draw):
            with alive({name: arms[name]}, draw, stopped) as workers:
                for case in order:
                    turns[case] |= take_turns(workers, case, job, draw)
        for case in order:
            yield case, turns[case]
            advance()

    return watched(measure, job)


class SequentialSession(Session):
    """A run of the gate whose launches are sequential; all else is the gate's."""

    def launch(self, job: LaunchJob) -> Launched:
        """One launch, on the CPU that this thread is bound to."""
        return run_sequential_launch(
            self.arms["base"], self.arms["head"], job, advance=self.show.advance, stopped=self.stopped
        )
