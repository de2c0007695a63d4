"""What the book did not run, by name: other programs that its printed values should be able to exclude.

Each `Change` makes another program out of RMSProp's, and another trace where the change can be seen there. To
add one, put it into the list.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from rmsprop.book.programs import PROGRAMS, Program, Trace

OfProgram = Callable[[Program], Program]
OfTrace = Callable[[Trace], Trace]


@dataclass(frozen=True)
class Change:
    """One way in which the program could be another.

    Attributes
    ----------
    name : str
        Unique, in a few words, such as `gamma 0.99`.
    kind : str
        What is changed, such as `gamma`.
    program : callable or None
        The claimed training program -> the other one; None where a training cannot show it.
    trace : callable or None
        The claimed trace -> the other one; None where a trace cannot show it.
    """

    name: str
    kind: str
    program: OfProgram | None
    trace: OfTrace | None


def _given(spec: Program | Trace) -> dict[str, float]:
    """The hyperparameters by the names of the section's step."""
    h = dict(spec.hyperparameters)
    for theirs, ours in (("alpha", "gamma"), ("eta", "lr")):
        if theirs in h:
            h[ours] = h.pop(theirs)
    return h | {"eps_outside": float(spec.loop == "concise")}


def _step(
    name: str, *, program: bool = True, trace: bool = True, **changes: float
) -> tuple[OfProgram | None, OfTrace | None]:
    """Another step in the same loop, with other values of some hyperparameters."""

    def of_program(spec: Program) -> Program:
        return replace(spec, optimizer=name, hyperparameters=_given(spec) | changes)

    def of_trace(spec: Trace) -> Trace:
        return replace(spec, optimizer=name, hyperparameters=_given(spec) | changes)

    return of_program if program else None, of_trace if trace else None


def _eps_elsewhere() -> tuple[OfProgram, OfTrace]:
    def of_program(spec: Program) -> Program:
        given = _given(spec)
        return replace(
            spec, optimizer="right", hyperparameters=given | {"eps_outside": 1 - given["eps_outside"]}
        )

    def of_trace(spec: Trace) -> Trace:
        given = _given(spec)
        return replace(
            spec, optimizer="right", hyperparameters=given | {"eps_outside": 1 - given["eps_outside"]}
        )

    return of_program, of_trace


def _field(**changes: object) -> tuple[OfProgram, None]:
    """Something of the loop is other: the batch, the epochs, what the loop does."""
    return (lambda spec: replace(spec, **changes)), None


def _other_start(spec: Program) -> Program:
    return replace(
        spec,
        optimizer="right",
        hyperparameters=_given(spec),
        loop="scratch" if spec.loop == "concise" else "concise",
    )


def _chapters(
    scratch: str, concise: str | None = None, eta: Mapping[str, float] | None = None
) -> tuple[OfProgram, OfTrace | None]:
    """Another program of the chapter, in the same loop; and its step in two dimensions at the same eta."""

    def of_program(spec: Program) -> Program:
        name = scratch if spec.loop == "scratch" else concise or scratch
        return replace(PROGRAMS[name], loop=spec.loop)

    def of_trace(spec: Trace) -> Trace:
        assert eta is not None
        given = {"eta": spec.hyperparameters["eta"], **eta}
        return replace(spec, optimizer=PROGRAMS[scratch].optimizer, hyperparameters=given)

    return of_program, None if eta is None else of_trace


CHANGES: tuple[Change, ...] = (
    Change("eps on the other side of the root", "eps", *_eps_elsewhere()),
    *(Change(f"eps {eps:g}", "eps", *_step("right", eps=eps)) for eps in (1e-10, 1e-4, 1e-2, 1.0)),
    *(
        Change(f"gamma {gamma:g}", "gamma", *_step("right", gamma=gamma))
        for gamma in (0.1, 0.5, 0.8, 0.85, 0.95, 0.99, 0.999)
    ),
    *(
        Change(f"lr {lr:g}", "lr", *_step("right", trace=False, lr=lr))
        for lr in (0.003, 0.005, 0.007, 0.015, 0.02, 0.05, 0.1)
    ),
    *(
        Change(f"eta {eta:g} in two dimensions", "lr", *_step("right", program=False, lr=eta))
        for eta in (0.399, 0.401)
    ),
    *(
        Change(f"{epochs} epochs" if epochs > 1 else "1 epoch", "epochs", *_field(num_epochs=epochs))
        for epochs in (1, 3, 4)
    ),
    *(Change(f"batch {size}", "batch", *_field(batch_size=size)) for size in (5, 20, 50)),
    Change("rows shuffled once", "shuffling", *_field(shuffle="once")),
    Change("rows never shuffled", "shuffling", *_field(shuffle="never")),
    Change("no bias", "bias", *_field(bias=False)),
    Change("loss not halved", "loss", *_field(loss_factor=2.0)),
    Change("loss summed over the batch", "loss", *_field(loss_factor=10.0)),
    Change("gradients never zeroed", "gradients", *_field(zero_grad=False)),
    Change("start of the other loop", "start", _other_start, None),
    Change("first state 1", "state", *_step("first_state_one")),
    Change("parameters before state", "order", *_step("parameters_first")),
    Change("bias correction", "formula", *_step("bias_corrected")),
    Change("centred", "formula", *_step("centred")),
    *(Change(f"momentum {m:g}", "formula", *_step("with_momentum", momentum=m)) for m in (0.5, 0.9)),
    Change("no root", "formula", *_step("without_root")),
    Change("update added", "formula", *_step("added")),
    Change("sign of the gradient", "formula", *_step("sign_alone")),
    Change("new square without 1 - gamma", "formula", *_step("summed")),
    Change("average of |g|", "formula", *_step("absolute")),
    Change("state that never falls", "formula", *_step("largest")),
    Change("one state for all parameters", "formula", *_step("shared")),
    Change("L2 regularisation 0.1", "formula", *_step("decayed")),
    Change("SGD lr 0.05", "optimizer", *_chapters("sgd-scratch", "sgd-concise")),
    Change("momentum 0.5 lr 0.02", "optimizer", *_chapters("momentum-scratch-0.5", None, {"gamma": 0.5})),
    Change("momentum 0.9 lr 0.02", "optimizer", *_chapters("momentum-scratch-0.9", None, {"gamma": 0.9})),
    Change("momentum 0.9 lr 0.004", "optimizer", *_chapters("momentum-scratch", "momentum-concise")),
    Change("AdaGrad lr 0.1", "optimizer", *_chapters("adagrad-scratch", "adagrad-concise", {"eps": 1e-6})),
    Change("AdaDelta", "optimizer", *_chapters("adadelta-scratch", "adadelta-concise")),
    Change("Adam lr 0.01", "optimizer", *_chapters("adam-scratch", "adam-concise")),
)
"""Everything that section 7.6 is held against, in the order in which a reader looks for it."""
