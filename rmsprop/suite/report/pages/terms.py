"""The page of the terms that the report uses, in the words of docs/glossary.md, which a wheel lacks."""

from collections.abc import Iterable, Mapping

from rmsprop.suite.report.inputs import Inputs
from rmsprop.suite.report.page import Block, Facts, Heading, Page, paragraph

PATH = "terms.html"
_OF_THE_BOOK = "What is claimed"
TERMS: Mapping[str, Mapping[str, str]] = {
    "What is claimed": {
        "Claim": "one value that an edition of the book printed, with its hyperparameters and its source.",
        "Edition": (
            "one version of the book, or of its port to another framework. The primary edition is the "
            "Chinese edition in its PyTorch port; only its claims decide the exit code of rmsprop reproduce."
        ),
        "Program": (
            "one training of the book, such as rmsprop-scratch, which writes RMSProp out, and "
            "rmsprop-concise, which calls torch.optim.RMSprop."
        ),
        "Rows": (
            "the airfoil data that both programs train on. The real rows are NASA's. The surrogate is "
            "generated data with the same first and second moments, so that a linear model has exactly the "
            "same loss surface."
        ),
        "Seed": "the number that fixes the initial weights and the order of the rows in one training.",
        "Ensemble": (
            "the same program trained with thousands of seeds at once. A sequential run is one training by "
            "itself, as the book does it."
        ),
        "Percentile": "the share of the seeds whose final loss is below a printed loss.",
    },
    "What is measured": {
        "Implementation": (
            "one way to take an RMSProp step, such as scratch, builtin-loop, builtin-foreach or fused. "
            "builtin-* are variants of torch.optim.RMSprop."
        ),
        "Reference implementation": (
            "the one that speed-ups are taken against: builtin-loop, which is "
            "torch.optim.RMSprop(foreach=False)."
        ),
        "Step": "one call of optimizer.step(). The word means nothing else here.",
        "Layout": "how the parameters are cut into tensors: single, book, digits, many, resnet50 or gpt2.",
        "Case": (
            "one implementation on one device, in one dtype, with one number of elements (size), in one "
            "layout, with a number of threads and a momentum."
        ),
        "Profile": "a named list of cases: smoke, regular, fused or full.",
    },
    "Sweeps": {
        "Point": (
            "one combination of optimizer, hyperparameters, batch size, epochs and dtype. Grid: all points "
            "of a sweep."
        ),
        "Diverged": "the final loss of a training is not below the loss at its start.",
        "Best point": (
            "the point of an optimizer with the lowest median over one half of the seeds; its losses are "
            "told from the other half."
        ),
    },
    "How it is measured": {
        "Run": (
            "one invocation of a command that measured something: machine, commit, versions and what was "
            "asked."
        ),
        "Record": (
            "what a run left of one case, of one reproduction or of one gate: the environment and the raw "
            "samples. It is never edited."
        ),
        "Machine": "the name under which results of one computer are stored. rmsprop machine prints it.",
        "Sample": (
            "one timing. It covers as many steps as fill five milliseconds, and is divided by their number."
        ),
        "Time of a step": (
            "of one run. By rmsprop bench it is the geometric mean of the medians of the run's processes, by "
            "asv and pytest-benchmark the median of the samples."
        ),
        "In turns": (
            "implementations take their samples alternately, so that a disturbance affects all of them."
        ),
        "Steady state": (
            "what is timed once the state of the optimizer exists and compilation is done. Cold start is the "
            "opposite: imports and the first step in a fresh process."
        ),
        "Check": "before a case is timed, its first steps are compared with a float64 reference.",
        "Five plain passes": (
            "the time of two of torch's plainest operations that read and write as many bytes as a step "
            "(read p, g and s; write p and s; seven passes with momentum), in the same run. It is measured "
            "and no bound: a step may take less. The page *Fused* says by how much in the run shown; why was "
            "not measured. The column ceiling of records and of rmsprop export has it."
        ),
        "Peak extra memory": (
            "the largest number of bytes that are alive during a step beyond those alive before it."
        ),
        "Speed-up": (
            "the time of the reference implementation divided by the time of this implementation, both from "
            "the same run and taken in turns."
        ),
        "Crossover": "the number of elements from which one implementation is faster than another.",
        "Warning": (
            "a reason why a number may be unreliable: unstable (the processes differ), busy (other processes "
            "used the processors), stolen (the hypervisor took processor time), clock (the clock rate fell), "
            "timer (the timer is too coarse), few (there are too few samples). A usual warning is one that "
            "most times of a run have: it is said once, of the run."
        ),
    },
    "What is concluded": {
        "Reproduced": (
            "the printed digits of a trace are equal. Consistent: the printed loss lies within the central "
            "99% of the seeds, which excludes little. Not consistent: the whole 95% interval of its "
            "percentile lies outside. Undecided: neither. Fits: a printed curve is as usual among its "
            "program's own runs. Excluded: p of the printed value is below 1% for that program. Compared: "
            "seconds, which never decide."
        ),
        "95% interval": (
            "the range that contains the true value in 95% of such experiments, if the assumptions named "
            "beside it hold. Of a speed-up: made so that it does between runs of one machine, as counted in "
            "runs that began within 80 minutes."
        ),
    },
    "The gate": {
        "Base, head": "the code that is compared with, and the code that is judged.",
        "Launch": (
            "one pair of processes, one for each side, that live at the same time and take turns (JMH calls "
            "it a fork). It is the unit of all tests."
        ),
        "Log ratio": "log(head / base) of a case in one launch, the trimmed mean over neighbouring turns.",
        "Screen, confirm": (
            "the two stages. The screen measures all cases in a few launches; fresh launches then test the "
            "candidates."
        ),
        "Control": (
            "base measured against itself in the same launches. A case is unsteady if the control shows a "
            "change too."
        ),
        "Family": "the cases of one implementation, which are also tested together.",
        "Detected": (
            "a change that the gate or the detector reports. A false positive is a reported change where "
            "there is none. The detection rate is the share of runs that report a change that is there."
        ),
        "Minimum detectable slowdown": (
            "the smallest slowdown that a run would have detected with the stated probability, given its "
            "noise."
        ),
        "Underpowered": (
            "the minimum detectable slowdown of a case is larger than the policy asks for. That such a case "
            "raises no alarm means nothing."
        ),
        "Aim": (
            "the slowdown that a run should detect. The gate spends no more of its budget than that takes."
        ),
        "Inconclusive": "the run allows neither answer. It is not a pass.",
        "Added, removed": "a case that only head has, or only base.",
    },
    "History": {
        "Series": "one quantity of one case on one machine in one environment, over commits.",
        "Change point": "the place in a series where its level changes, between two commits.",
        "Alert": "a change point that is reported, or a ratio of the gate that is.",
        "Faded": (
            "the level after a change is back at that before it, without another change. Such an alert fails "
            "nothing."
        ),
    },
    "The report": {
        "Marked, †": (
            "a warning speaks against the number. A time is marked for a warning that is not usual in its "
            "run. A ratio is marked where its interval is wide, its samples are few or the timer is too "
            "coarse, and, without an interval, for any warning of its two times. In figures the mark of such "
            "a time is hollow."
        ),
    },
}
"""By heading: term -> what it means. A test holds each against docs/glossary.md, which has further ones."""


def pages(inputs: Inputs) -> Iterable[Page]:
    """One page, always; without the book's terms in somebody else's repository."""
    blocks: list[Block] = [paragraph("One word stands for one thing on all pages.")]
    for heading, terms in TERMS.items():
        if heading != _OF_THE_BOOK or not inputs.elsewhere:
            blocks += [Heading(heading), Facts(terms)]
    yield Page(PATH, "Terms: what the words mean", tuple(blocks), nav="Terms", in_markdown=False)
