"""What the book runs in its chapter on optimization, with every value that it sets: data, and nothing else.

Each number stands here once. The sequential loops, the ensemble, the traces, the matrix of benchmarks and the
pages read it from here. This module imports the standard library alone, so that a benchmark can take it
beside the rmsprop of an older commit.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from rmsprop.errors import UserError

Loop = Literal["scratch", "concise"]
Shuffle = Literal["each epoch", "once", "never"]


@dataclass(frozen=True)
class Program:
    """One training: an optimizer in one of the book's two loops, with all that the book sets.

    The last four attributes say how the book's loops work; only a wrong program has other values there.

    Attributes
    ----------
    name : str
        Unique, such as `rmsprop-scratch`.
    section : str
        Where the book runs it, such as `7.6`.
    optimizer : str
        A name in `rmsprop.book.chapter.OPTIMIZERS`.
    loop : str
        `scratch`, which draws w from N(0, 0.01²) with b = 0, or `concise`, which starts as `nn.Linear` does.
    hyperparameters : Mapping of str to float
        By the names that the book's call uses, and torch's defaults where the book gives none.
    batch_size, num_epochs : int
        Rows of a batch; passes over the rows.
    shuffle : str
        When the rows are put into a new order.
    bias : bool
        Whether b is trained.
    zero_grad : bool
        Whether each step forgets the gradients of the steps before.
    loss_factor : float
        What the training loss is, in units of the mean of (ŷ - y)² / 2.
    """

    name: str
    section: str
    optimizer: str
    loop: Loop
    hyperparameters: Mapping[str, float]
    batch_size: int
    num_epochs: int
    shuffle: Shuffle = "each epoch"
    bias: bool = True
    zero_grad: bool = True
    loss_factor: float = 1.0

    @property
    def title(self) -> str:
        """Such as `RMSProp from scratch` or `torch.optim.RMSprop`."""
        title = TITLES.get((self.optimizer, self.loop), self.name)
        # Two sections train one optimizer more than once.
        return title if self.section not in ("7.3", "7.4") else f"{title} ({self.given})"

    @property
    def given(self) -> str:
        """The hyperparameters and, where it is another than the book's usual 10, the batch."""
        values = [f"{name} {value:g}" for name, value in self.hyperparameters.items()]
        return ", ".join(values + ([f"batch {self.batch_size}"] if self.batch_size != 10 else []))

    @property
    def words(self) -> str:
        """All values, such as `lr 0.01, gamma 0.9, eps 1e-06 inside the root, batch 10, 2 epochs`."""
        values = [f"{name} {value:g}" for name, value in self.hyperparameters.items()]
        place = EPS_PLACES.get((self.optimizer, self.loop))
        values = [
            f"{text} {place} the root" if text.startswith("eps ") and place else text for text in values
        ]
        return ", ".join((*values, f"batch {self.batch_size}", f"{self.num_epochs} epochs"))


@dataclass(frozen=True)
class Trace:
    """One path of an optimizer on f(x) = a₁ x₁² + a₂ x₂², or on a₁ x₁² alone.

    Attributes
    ----------
    name : str
        Unique, such as `rmsprop_2d`.
    section : str
        Where the book prints it.
    optimizer : str
        A name in `rmsprop.book.chapter.OPTIMIZERS`.
    loop : str
        `scratch` for the section's own function in Python floats, `concise` for torch's optimizer in float64.
    hyperparameters : Mapping of str to float
        By the names of the section's function or of torch.
    objective : tuple of float
        a, one number a dimension.
    start : tuple of float
        Where x begins.
    steps : int
        How many steps follow.
    """

    name: str
    section: str
    optimizer: str
    loop: Loop
    hyperparameters: Mapping[str, float]
    objective: tuple[float, ...]
    start: tuple[float, ...]
    steps: int

    @property
    def noisy(self) -> bool:
        """Whether chance is a part of it."""
        return "noise_sd" in self.hyperparameters

    @property
    def title(self) -> str:
        """Such as `2-D RMSProp, eta 0.4`."""
        name = "noisy gradient descent" if self.noisy else _SHORT[self.optimizer]
        name, rate = ("torch.optim.RMSprop", "lr") if self.loop == "concise" else (name, "eta")
        return f"{len(self.start)}-D {name}, {rate} {self.hyperparameters[rate]:g}"


_SHORT = {"gd": "gradient descent", "momentum": "momentum", "adagrad": "AdaGrad", "rmsprop": "RMSProp"}
TITLES: dict[tuple[str, Loop], str] = {
    ("sgd", "scratch"): "SGD from scratch",
    ("sgd", "concise"): "torch.optim.SGD",
    ("momentum", "scratch"): "momentum from scratch",
    ("momentum", "concise"): "torch.optim.SGD with momentum",
    ("adagrad", "scratch"): "AdaGrad from scratch",
    ("adagrad", "concise"): "torch.optim.Adagrad",
    ("rmsprop", "scratch"): "RMSProp from scratch",
    ("rmsprop", "concise"): "torch.optim.RMSprop",
    ("adadelta", "scratch"): "AdaDelta from scratch",
    ("adadelta", "concise"): "torch.optim.Adadelta",
    ("adam", "scratch"): "Adam from scratch",
    ("adam", "concise"): "torch.optim.Adam",
}
EPS_PLACES: dict[tuple[str, Loop], Literal["inside", "outside"]] = {
    ("adagrad", "scratch"): "inside",
    ("adagrad", "concise"): "outside",
    ("rmsprop", "scratch"): "inside",
    ("rmsprop", "concise"): "outside",
    ("adadelta", "scratch"): "inside",
    ("adadelta", "concise"): "inside",
    ("adam", "scratch"): "outside",
    ("adam", "concise"): "outside",
}
"""sqrt(s + ε) or sqrt(s) + ε; a test holds it against the programs."""

_ADAM = {"lr": 0.01, "beta1": 0.9, "beta2": 0.999}

PROGRAMS: dict[str, Program] = {
    program.name: program
    for program in (
        Program("sgd-scratch-batch-1500", "7.3", "sgd", "scratch", {"lr": 1.0}, 1500, 6),
        Program("sgd-scratch-batch-1", "7.3", "sgd", "scratch", {"lr": 0.005}, 1, 2),
        Program("sgd-scratch", "7.3", "sgd", "scratch", {"lr": 0.05}, 10, 2),
        Program("sgd-concise", "7.3", "sgd", "concise", {"lr": 0.05}, 10, 2),
        Program("momentum-scratch-0.5", "7.4", "momentum", "scratch", {"lr": 0.02, "momentum": 0.5}, 10, 2),
        Program("momentum-scratch-0.9", "7.4", "momentum", "scratch", {"lr": 0.02, "momentum": 0.9}, 10, 2),
        Program("momentum-scratch", "7.4", "momentum", "scratch", {"lr": 0.004, "momentum": 0.9}, 10, 2),
        Program("momentum-concise", "7.4", "momentum", "concise", {"lr": 0.004, "momentum": 0.9}, 10, 2),
        Program("adagrad-scratch", "7.5", "adagrad", "scratch", {"lr": 0.1, "eps": 1e-6}, 10, 2),
        Program("adagrad-concise", "7.5", "adagrad", "concise", {"lr": 0.1, "eps": 1e-10}, 10, 2),
        Program(
            "rmsprop-scratch", "7.6", "rmsprop", "scratch", {"lr": 0.01, "gamma": 0.9, "eps": 1e-6}, 10, 2
        ),
        Program(
            "rmsprop-concise", "7.6", "rmsprop", "concise", {"lr": 0.01, "alpha": 0.9, "eps": 1e-8}, 10, 2
        ),
        Program("adadelta-scratch", "7.7", "adadelta", "scratch", {"rho": 0.9, "eps": 1e-5}, 10, 2),
        Program(
            "adadelta-concise", "7.7", "adadelta", "concise", {"lr": 1.0, "rho": 0.9, "eps": 1e-6}, 10, 2
        ),
        Program("adam-scratch", "7.8", "adam", "scratch", {**_ADAM, "eps": 1e-6}, 10, 2),
        Program("adam-concise", "7.8", "adam", "concise", {**_ADAM, "eps": 1e-8}, 10, 2),
    )
}
"""Every training of the chapter, by name, in the order of the book."""

_F, _START = (0.1, 2.0), (-5.0, -2.0)
_NOISY = {"eta": 0.1, "noise_mean": 0.1, "noise_sd": 1.0}
"""The book calls `np.random.normal(0.1)`: its 0.1 is the mean, and the standard deviation is NumPy's 1."""

TRACES: dict[str, Trace] = {
    trace.name: trace
    for trace in (
        Trace("gd_1d-0.2", "7.2", "gd", "scratch", {"eta": 0.2}, (1.0,), (10.0,), 10),
        Trace("gd_1d-0.05", "7.2", "gd", "scratch", {"eta": 0.05}, (1.0,), (10.0,), 10),
        Trace("gd_1d-1.1", "7.2", "gd", "scratch", {"eta": 1.1}, (1.0,), (10.0,), 10),
        Trace("gd_2d-7.2", "7.2", "gd", "scratch", {"eta": 0.1}, (1.0, 2.0), _START, 20),
        Trace("sgd_2d", "7.2", "gd", "scratch", _NOISY, (1.0, 2.0), _START, 20),
        Trace("gd_2d-0.4", "7.4", "gd", "scratch", {"eta": 0.4}, _F, _START, 20),
        Trace("gd_2d-0.6", "7.4", "gd", "scratch", {"eta": 0.6}, _F, _START, 20),
        Trace("momentum_2d-0.4", "7.4", "momentum", "scratch", {"eta": 0.4, "gamma": 0.5}, _F, _START, 20),
        Trace("momentum_2d-0.6", "7.4", "momentum", "scratch", {"eta": 0.6, "gamma": 0.5}, _F, _START, 20),
        Trace("adagrad_2d", "7.5", "adagrad", "scratch", {"eta": 0.4, "eps": 1e-6}, _F, _START, 20),
        Trace("adagrad_2d-2", "7.5", "adagrad", "scratch", {"eta": 2.0, "eps": 1e-6}, _F, _START, 20),
        Trace(
            "rmsprop_2d", "7.6", "rmsprop", "scratch", {"eta": 0.4, "gamma": 0.9, "eps": 1e-6}, _F, _START, 20
        ),
        Trace(
            "torch_2d", "7.6", "rmsprop", "concise", {"lr": 0.4, "alpha": 0.9, "eps": 1e-8}, _F, _START, 20
        ),
    )
}
"""Every path of the chapter, by name. `torch_2d` is torch's beside the book's, which prints none; `sgd_2d` is
gradient descent with noise in the gradient."""

MATRIX = "rmsprop-concise"
"""The program whose hyperparameters the benchmarks run every implementation with, each with its own ε."""


def program(name: str) -> Program:
    """The chapter's program of that name; UserError, which lists all, if there is none."""
    if name not in PROGRAMS:
        raise UserError(f"program {name!r}: choose one of {', '.join(PROGRAMS)}")
    return PROGRAMS[name]


def noisy_end(spec: Trace) -> tuple[tuple[float, float], ...]:
    """Mean and standard deviation of each coordinate after gradient descent with normal noise.

    x ← x - η (2 a x + n) with n from N(μ, σ²) is a linear recursion, so the end is normal: with q = 1 - 2 a η
    it has the mean qⁿ x₀ - η μ (1 - qⁿ) / (1 - q) and the variance η² σ² (1 - q²ⁿ) / (1 - q²).
    """
    h, ends = spec.hyperparameters, []
    for a, x in zip(spec.objective, spec.start, strict=True):
        q = 1 - 2 * a * h["eta"]
        mean = q**spec.steps * x - h["eta"] * h["noise_mean"] * (1 - q**spec.steps) / (1 - q)
        variance = (h["eta"] * h["noise_sd"]) ** 2 * (1 - q ** (2 * spec.steps)) / (1 - q**2)
        ends.append((mean, math.sqrt(variance)))
    return tuple(ends)
