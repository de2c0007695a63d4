"""What a new author brings: optimizers that are right, wrong, wrong in one dtype, ill-conditioned.

Some raise, and some are no optimizers.
"""

import torch
from torch.optim import RMSprop


def formula(params, gradients, state, *, lr, alpha, eps):
    for i, (p, g) in enumerate(zip(params, gradients, strict=True)):
        s = state[i] = alpha * state.get(i, torch.zeros_like(p)) + (1 - alpha) * g * g
        p.sub_(lr * g / (s.sqrt() + eps))


class Plain(RMSprop):
    pass


class Right(RMSprop):
    reference_step = staticmethod(formula)


class Forwarding(Right):
    def __init__(self, params, **kwargs):
        super().__init__(params, **kwargs)


class PlainForwarding(RMSprop):
    def __init__(self, params, **kwargs):
        super().__init__(params, **kwargs)


class ForwardingButOne(Right):
    """Calls alpha by another name, and passes all others on."""

    def __init__(self, params, decay=0.5, **kwargs):
        super().__init__(params, alpha=decay, **kwargs)


class ForgetsLater(Right):
    """Loses its state at every sixth step, which the first three do not show."""

    taken = 0

    def step(self, closure=None):
        self.taken += 1
        if self.taken % 6 == 0:
            self.state.clear()
        super().step()


class Wrong(Right):
    def __init__(self, params, lr, alpha, eps):
        super().__init__(params, lr=1.01 * lr, alpha=alpha, eps=eps)


class Doubled(RMSprop):
    def __init__(self, params, lr, alpha, eps):
        super().__init__(params, lr=2 * lr, alpha=alpha, eps=eps)


class OwnRate(RMSprop):
    def __init__(self, params):
        super().__init__(params, lr=3e-3, alpha=0.5, eps=1e-8)


class RightOwnRate(OwnRate):
    reference_step = staticmethod(formula)


class HiddenRate(RMSprop):
    """Has no learning rate in its groups, but one of its own."""

    def __init__(self, params):
        super().__init__(params, lr=1.0, alpha=0.9, eps=1e-8)
        del self.param_groups[0]["lr"]

    def step(self, closure=None):
        self.param_groups[0]["lr"] = 3e-3
        super().step()
        del self.param_groups[0]["lr"]


class Clamped(RMSprop):
    """Another formula, which small gradients do not show."""

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                p.grad.clamp_(-1, 1)
        super().step()


class WrongInFloat32(Right):
    """Steps the opposite way in float32 alone."""

    def __init__(self, params, lr, alpha, eps):
        params = list(params)
        opposite = params[0].dtype == torch.float32
        super().__init__(params, lr=lr, alpha=alpha, eps=eps, maximize=opposite)


class IllConditioned(Right):
    @torch.no_grad()
    def step(self, closure=None):
        shifted = [p for group in self.param_groups for p in group["params"]]
        for p in shifted:
            p.add_(1000)
        super().step()
        for p in shifted:
            p.sub_(1000)


class NotFinite(Right):
    @torch.no_grad()
    def step(self, closure=None):
        super().step()
        self.param_groups[0]["params"][0].view(-1)[3] = float("nan")


class ConstructorRaises(RMSprop):
    def __init__(self, params, lr):
        raise ValueError("no such rate")


class StepRaises(RMSprop):
    def step(self, closure=None):
        raise RuntimeError("no luck today")


class NeedsClosure(RMSprop):
    def step(self, closure):
        closure()
        return super().step()


class Idle(RMSprop):
    def step(self, closure=None):
        pass


def factory_with_kwargs(params, **kwargs):
    """Whose names nobody can know."""
    return RMSprop(params, **{"lr": 3e-3, "alpha": 0.5} | kwargs)


def factory_of_closures(params, lr):
    return NeedsClosure(params, lr=lr)


def factory(params, lr, alpha, eps):
    return RMSprop(params, lr=lr, alpha=alpha, eps=eps)


class NoOptimizer:
    pass


number = 3
