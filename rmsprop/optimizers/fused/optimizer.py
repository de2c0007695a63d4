"""FusedRMSprop: RMSProp in one pass over memory, in place of torch.optim.RMSprop."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor
from torch._C._autograd import _profiler_enabled
from torch.optim import Optimizer, RMSprop
from torch.optim.optimizer import (
    ParamsT,
    StateDict,
    _global_optimizer_post_hooks,
    _global_optimizer_pre_hooks,
)

from rmsprop.optimizers.fused import cuda as fused_cuda
from rmsprop.optimizers.fused import foreach as fused_fallback
from rmsprop.optimizers.fused.batches import Batch, batches, by_group
from rmsprop.optimizers.fused.checks import (
    OPTIONS,
    STATE,
    WIDE,
    check_options,
    check_parameter,
    check_step,
    checked_checkpoint,
    complete_state,
)
from rmsprop.optimizers.fused.kernels import (
    Left,
    Pairs,
    Walk,
    cpu_walk,
    cuda_walk,
    has_cuda_kernel,
    leave_all,
)
from rmsprop.optimizers.fused.options import StepOptions
from rmsprop.optimizers.fused.subclasses import has_own_dispatch


class FusedRMSprop(RMSprop):
    """RMSProp in one pass over memory: what torch.optim.RMSprop computes, with its signature and its state.

        g = (-grad if maximize else grad) + weight_decay p
        s = alpha s + (1 - alpha) g²
        a = a + (1 - alpha) (g - a)                       if centered
        d = sqrt(v) + eps, or sqrt(v + eps)               the latter if eps_inside_sqrt
            where v = max(s - a², 0) if centered, else s
        b = momentum b + g / d;  p = p - lr b             if momentum > 0, else p = p - lr g / d

    with s, a and b zero at first. Where d is 0, as eps may be, a zero gradient counts as g / d = 0.

    On the CPU all parameters are updated by one call of a C++ kernel, which is built on first use or by
    `rmsprop build`; on CUDA by a Triton kernel; elsewhere, and with one warning where there is no compiler
    or no Triton, by torch's foreach operations. A gradient or state that lies in memory otherwise than its
    parameter is copied for the step. bfloat16 and float16 are computed in float32 and rounded when stored.

    Parameters
    ----------
    params, lr, alpha, eps, weight_decay, momentum, centered, capturable, maximize
        As torch.optim.RMSprop's, with alpha in [0, 1).
    foreach, differentiable
        There for the signature; True raises RuntimeError, as in torch's fused optimizers.
    eps_inside_sqrt
        The book's, TensorFlow's and Keras's place of ε.
    state_dtype
        torch.float32 keeps the state of bfloat16 and float16 parameters in float32; others keep their own.
    stochastic_rounding
        Round bfloat16 parameters up or down by chance, so that updates below their precision are not lost
        on average. Draws from torch's default generator.
    amp_scaling
        Let torch.amp.GradScaler hand its scale to the step, as it does to torch's fused optimizers: the host
        does not wait for the GPU, and parameters may be float16. By default the scaler treats the optimizer
        as torch.optim.RMSprop, so that gradients can be clipped in between, as Lightning does it.

    Raises
    ------
    ValueError
        A hyperparameter out of its range; in `load_state_dict`, a state of another shape or optimizer.
    TypeError
        A parameter that is neither floating point nor complex.
    RuntimeError
        In `step`, a sparse gradient. No error leaves parameters or state changed.
    """

    _step_supports_amp_scaling = False
    """What torch.amp.GradScaler and Lightning ask; `amp_scaling` sets it."""
    _options: Mapping[str, Any] = MappingProxyType({})
    _repeats = False
    """Whether a parameter stands twice in a group, of which torch warns: no two threads may step it then."""
    _fast_path: Walk = staticmethod(leave_all)
    """Takes the whole step in one call where it can, and gives back what it leaves: C++, once it is built."""
    _launched = ""
    """On which devices the walk makes parameters ready for the kernel: "cuda" once one was met there."""

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        *,
        eps_inside_sqrt: bool = False,
        state_dtype: torch.dtype | None = None,
        stochastic_rounding: bool = False,
        amp_scaling: bool = False,
    ) -> None:
        if foreach:
            raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
        if differentiable:
            raise RuntimeError("`fused` does not support `differentiable`")
        self._step_supports_amp_scaling = amp_scaling
        ours = (eps_inside_sqrt, state_dtype, stochastic_rounding)
        self._options = dict(zip(OPTIONS, ours, strict=True))
        rmsprops = (lr, alpha, eps, weight_decay, momentum, centered, capturable, foreach, maximize)
        super().__init__(params, *rmsprops, differentiable)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group; ValueError or TypeError for what cannot be optimized, which is then not added."""
        self.defaults = {**self._options, **self.defaults}
        check_options({**self.defaults, **param_group})
        super().add_param_group(param_group)
        try:
            for p in self.param_groups[-1]["params"]:
                check_parameter(p)
        except TypeError:
            del self.param_groups[-1]
            raise
        self._repeats = _repeat(self.param_groups)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step, and return the closure's value if there is one."""
        # torch's wrapper takes longer than the book's whole step: it is entered when someone watches.
        if (
            self._optimizer_step_pre_hooks
            or self._optimizer_step_post_hooks
            or _global_optimizer_pre_hooks
            or _global_optimizer_post_hooks
            or _profiler_enabled()
        ):
            return self._watched_step() if closure is None else self._watched_step(closure)
        return self._step(closure)

    step.hooked = True  # type: ignore[attr-defined]  # or torch would wrap it

    def _step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        scale = 1.0
        if hasattr(self, "found_inf"):
            scale = self._scale_on_host()
            if math.isinf(scale):
                return loss
        if self._launched == "cuda":
            self._check_capture()
        # As _walk, whose call takes a tenth of the book's step.
        if left := self._fast_path(
            self.param_groups, self.state, scale, False, self._repeats, self._launched, fused_cuda.BLOCK
        ):
            self._step_left(self.param_groups, left, scale)
        return loss

    _watched_step = Optimizer.profile_hook_step(_step)

    def _scale_on_host(self) -> float:
        """GradScaler's scale of the gradients on the CPU; infinite if no step must be taken."""
        if all(p.grad is None or p.device.type != "cpu" for g in self.param_groups for p in g["params"]):
            return 1.0  # and no GPU is waited for
        found_inf, grad_scale = self._amp()
        if found_inf is not None and found_inf.item():
            return math.inf
        return 1.0 if grad_scale is None else float(grad_scale)

    def _amp(self) -> tuple[Tensor | None, Tensor | None]:
        """What torch.amp.GradScaler sets around its steps: found_inf and grad_scale."""
        return getattr(self, "found_inf", None), getattr(self, "grad_scale", None)

    def _check_capture(self) -> None:
        """RuntimeError, in torch's words, where a CUDA graph would hold counters that are on the CPU."""
        if torch.cuda.is_current_stream_capturing() and not all(g["capturable"] for g in self.param_groups):
            raise RuntimeError(
                "Attempting CUDA graph capture of step() for an instance of "
                f"{type(self).__name__} but param_groups' capturable is False."
            )

    def _walk(self, groups: list[dict[str, Any]], scale: float, partly: bool) -> Left | None:
        return self._fast_path(
            groups, self.state, scale, partly, self._repeats, self._launched, fused_cuda.BLOCK
        )

    @torch._disable_dynamo  # type: ignore[attr-defined]
    def _step_left(self, groups: list[dict[str, Any]], left: Left, scale: float) -> None:
        rest, launches = left
        if rest:
            self._step_rest(groups, rest, scale)
        else:
            self._launch(launches)

    @torch.no_grad()
    def _step_rest(self, groups: list[dict[str, Any]], rest: Pairs, scale: float) -> None:
        """The whole step of the groups, given the parameters that no kernel takes as they are."""
        self._prepare(rest)
        strange = [pair for pair in rest if has_own_dispatch(pair[1])]
        # Computed before anything changes: a tensor subclass may lack one of the operations.
        written = [self._step_elsewhere(batch) for batch in batches(strange, self.state)]
        left, launches = self._walk(groups, scale, True) or ([], [])
        self._launch(launches)
        for batch in batches([pair for pair in left if not has_own_dispatch(pair[1])], self.state):
            if batch.params[0].device.type != "cpu" or not self._step_on_host(batch, scale):
                self._step_elsewhere(batch)()
            batch.write_back()
        for write in written:
            write()

    def _launch(self, launches: list[tuple[Any, ...]]) -> None:
        found_inf, grad_scale = self._amp()
        for launch in launches:
            fused_cuda.launch(fused_cuda.Launch(*launch), grad_scale=grad_scale, found_inf=found_inf)

    def _prepare(self, rest: Pairs) -> None:
        """Check all, complete the state, and see to the kernels."""
        for group, keys, params in by_group(rest):  # nothing is changed before all is checked
            elsewhere = isinstance(group["lr"], Tensor) and group["lr"].device.type != "cpu"
            check_options({**group, "lr": 0.0} if elsewhere else group)  # no GPU is waited for
            for p in params:
                check_step(group, keys, p, self.state.get(p, {}))
        types = {p.device.type for _, p in rest}
        if "cuda" in types:
            self._check_capture()
        for group, keys, params in by_group(rest):
            for p in params:
                complete_state(group, keys, p, self.state[p])
        if "cpu" in types:
            self._fast_path = cpu_walk()
        elif "cuda" in types and has_cuda_kernel():
            self._fast_path = cuda_walk()
        if "cuda" in types and has_cuda_kernel():
            self._launched = "cuda"

    def _step_on_host(self, batch: Batch, scale: float) -> bool:
        """Whether the CPU's kernel takes the batch; then it has."""
        state = {}
        for i, (p, grad) in enumerate(zip(batch.params, batch.grads, strict=True)):
            p.grad = grad
            state[p] = {key: tensors[i] for key, tensors in batch.state.items()}
        return not self._fast_path(
            [{**batch.group, "params": batch.params}], state, scale, False, False, "", 0
        )

    def _step_elsewhere(self, batch: Batch) -> Callable[[], None]:
        """A step that is computed and not yet written; on CUDA, one that is not yet computed either."""
        on_cuda = batch.params[0].is_cuda and fused_cuda.takes(batch) and has_cuda_kernel()
        found_inf, grad_scale = self._amp()
        options = StepOptions.of(batch.group, grad_scale, found_inf)
        keys = ("square_avg", "grad_avg", "momentum_buffer", "step")
        tensors = (batch.params, batch.grads, *(batch.state.get(key, []) for key in keys))
        return (
            partial(fused_cuda.step, tensors, options) if on_cuda else fused_fallback.step(tensors, options)
        )

    def __getstate__(self) -> dict[str, Any]:
        kept = {"_step_supports_amp_scaling": self._step_supports_amp_scaling}
        return {**super().__getstate__(), **kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._repeats = _repeat(self.param_groups)

    def load_state_dict(self, state_dict: StateDict) -> None:
        """Load a checkpoint of FusedRMSprop or torch.optim.RMSprop; ValueError for any other's.

        The groups are then the checkpoint's, whatever schedulers and users have added there or here, as
        torch's are. What torch's does not say (`eps_inside_sqrt`, ...) stays as it is.
        """
        loaded: StateDict = {}

        def check(_: Optimizer, given: StateDict) -> StateDict:
            loaded.update(checked_checkpoint(given, self.param_groups))
            return loaded

        with self.register_load_state_dict_pre_hook(check):  # the last one: it sees what is loaded
            super().load_state_dict(state_dict)
        for saved, group in zip(loaded["param_groups"], self.param_groups, strict=True):
            for number, p in zip(saved["params"], group["params"], strict=True):
                if group["state_dtype"] and p.dtype in WIDE and number in loaded["state"]:
                    stored = loaded["state"][number]
                    for key in stored.keys() & STATE:  # torch has cast it to p's dtype
                        self.state[p][key] = stored[key].to(p.device, WIDE[p.dtype], copy=True)


def _repeat(groups: list[dict[str, Any]]) -> bool:
    return any(len(set(group["params"])) < len(group["params"]) for group in groups)
