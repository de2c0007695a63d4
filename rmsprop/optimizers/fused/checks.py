"""What FusedRMSprop asks of its options, its state and a checkpoint, and says when it is not so."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.optim.optimizer import _get_capturable_supported_devices

from rmsprop.optimizers.fused.subclasses import check_dtensor, is_dtensor

ParamGroup: TypeAlias = Mapping[str, Any]
"""One of an optimizer's param_groups."""

OPTIONS = ("eps_inside_sqrt", "state_dtype", "stochastic_rounding")
"""What torch.optim.RMSprop does not have."""
WIDE = {torch.bfloat16: torch.float32, torch.float16: torch.float32, torch.complex32: torch.complex64}
"""Half types -> what `state_dtype=torch.float32` keeps their state in."""

STATE = ("square_avg", "momentum_buffer", "grad_avg")
_NEEDED = ("lr", "alpha", "eps", "weight_decay")
"""Without these torch.optim.RMSprop makes no step; what else a checkpoint lacks it completes."""
_OF_TIMM = ("decoupled_decay", "lr_in_momentum")
"""By these timm's RMSpropTF shows, whose epsilon is inside the root; nothing in its groups says so."""
_CHANGES = {
    "decoupled_decay": ("weight_decay", "decays the parameter itself, not the gradient"),
    "lr_in_momentum": ("momentum", "keeps the learning rate in the momentum buffer"),
    "caution": ("momentum", "masks the momentum by the sign of the gradient"),
}
"""Options of RMSpropTF that change the arithmetic -> the option that is 0 where they do not, and how."""
_NON_NEGATIVE = {
    "lr": "learning rate",
    "eps": "epsilon value",
    "momentum": "momentum value",
    "weight_decay": "weight_decay value",
}
"""Option -> torch's words for it."""


def state_keys(group: ParamGroup) -> tuple[str, ...]:
    """What a step of the group keeps for each parameter, beside the step counter."""
    used = {"square_avg": True, "momentum_buffer": group["momentum"] > 0, "grad_avg": group["centered"]}
    return tuple(key for key, is_used in used.items() if is_used)


def state_dtype(group: ParamGroup, p: Tensor) -> torch.dtype:
    """What the state of p is kept in."""
    return WIDE.get(p.dtype, p.dtype) if group["state_dtype"] else p.dtype


def check_options(group: ParamGroup) -> None:
    """ValueError, in torch's words where it has them, for a number out of its range, NaN among them."""
    if isinstance(group["lr"], Tensor) and group["lr"].numel() != 1:
        raise ValueError("Tensor lr must be 1-element")
    for name, words in _NON_NEGATIVE.items():
        if not group[name] >= 0.0:
            raise ValueError(f"Invalid {words}: {group[name]}")
    if not 0.0 <= group["alpha"] < 1.0:
        raise ValueError(f"Invalid alpha value: {group['alpha']}")
    if group["state_dtype"] not in {None, torch.float32}:
        raise ValueError(f"expected state_dtype None or torch.float32, found {group['state_dtype']}")


def check_parameter(p: Tensor) -> None:
    """TypeError for one that no RMSProp can move."""
    if not _holds_averages(p):
        raise TypeError(f"expected parameters of a floating point or complex dtype, found {p.dtype}")


def _holds_averages(tensor: Tensor) -> bool:
    return (tensor.is_floating_point() or tensor.is_complex()) and tensor.dtype.itemsize >= 2


def check_step(group: ParamGroup, keys: Sequence[str], p: Tensor, state: Mapping[str, Any]) -> None:
    """Raise what stands against a step of p, in torch's words if it has any; the state may be incomplete."""
    assert p.grad is not None
    if p.grad.layout != torch.strided:
        raise RuntimeError("RMSprop does not support sparse gradients")
    if group["capturable"]:
        supported = _get_capturable_supported_devices()
        if p.device.type not in supported or ("step" in state and state["step"].device != p.device):
            raise AssertionError(
                f"If capturable=True, params and state_steps must be on supported devices: {supported}."
            )
    for key in keys:
        if key in state and (state[key].is_complex() != p.is_complex() or not _holds_averages(state[key])):
            raise ValueError(f"expected {key} of its parameter's {p.dtype}, found {state[key].dtype}")
        if key in state and state[key].device != p.device:
            raise RuntimeError(
                f"expected {key} on its parameter's device {p.device}, found it on {state[key].device}"
            )
    _check_shapes(p, keys, state)
    if is_dtensor(p):
        check_dtensor(p, keys, state)
    if torch._debug_has_internal_overlap(p) == 1:
        raise RuntimeError(
            "unsupported operation: more than one element of the written-to tensor refers to a single memory "
            "location. Please clone() the tensor before performing the operation."
        )
    if _partly_overlap(p, p.grad):
        raise RuntimeError(
            "unsupported operation: some elements of the input tensor and the written-to tensor refer to a "
            "single memory location. Please clone() the tensor before performing the operation."
        )


def _partly_overlap(p: Tensor, grad: Tensor) -> bool:
    """Whether a step would change elements of the gradient before it has read them."""
    plain = all(type(t) in {Tensor, nn.Parameter} and t.device.type in {"cpu", "cuda"} for t in (p, grad))
    if not plain or not (p.is_contiguous() and grad.is_contiguous()):  # what has gaps is copied
        return False
    # The storages themselves, since to ask for an address gives a lazy clone memory of its own.
    one, other = (t.untyped_storage()._cdata for t in (p, grad))
    return one == other and 0 < abs(int(p.storage_offset()) - int(grad.storage_offset())) < p.numel()


def complete_state(group: ParamGroup, keys: Sequence[str], p: Tensor, state: dict[str, Any]) -> None:
    """Add, zero, what a step needs and the state lacks: all at first, some when an option is switched on.

    State of another precision than its parameter's is converted: that of a model after `model.double()`.
    """
    if not isinstance(state.get("step"), Tensor):
        dtype = torch.float64 if torch.get_default_dtype() == torch.float64 else torch.float32  # as torch
        # On CUDA, as torch's fused optimizers have it: GradScaler's found_inf can then stop the counter too.
        device = p.device if group["capturable"] or p.is_cuda else "cpu"
        state["step"] = torch.full((), float(state.get("step", 0)), dtype=dtype, device=device)
    for key in keys:
        if key not in state:
            state[key] = torch.zeros_like(p, dtype=state_dtype(group, p), memory_format=torch.preserve_format)
        elif state[key].dtype not in {p.dtype, WIDE.get(p.dtype)}:
            state[key] = state[key].to(state_dtype(group, p))


def checked_checkpoint(given: Mapping[str, Any], own: Sequence[ParamGroup]) -> dict[str, Any]:
    """The state_dict, its groups with all our options; ValueError if it is not RMSprop's or does not fit.

    How many groups and parameters it has is for torch to check, and where they differ it is left as it is.
    """
    groups = given["param_groups"]
    if [len(group["params"]) for group in groups] != [len(group["params"]) for group in own]:
        return dict(given)
    completed = []
    for group, ours in zip(groups, own, strict=True):
        completed.append(_completed(group, ours))
        for number, p in zip(group["params"], ours["params"], strict=True):
            state = given["state"].get(number, {})
            if state and not {"step", "square_avg"} <= state.keys():  # others may come when an option is set
                raise ValueError(
                    f"expected a state_dict of RMSprop with step and square_avg, found {', '.join(state)}"
                )
            for key in STATE:
                if key in state and not isinstance(state[key], Tensor):
                    raise ValueError(f"expected {key} as a tensor, found {type(state[key]).__name__}")
            _check_shapes(p, STATE, state)
    return {**given, "param_groups": completed}


def _completed(group: ParamGroup, ours: ParamGroup) -> ParamGroup:
    """A checkpoint's group with our options; all else is as in torch, which drops what only `ours` has."""
    if missing := set(_NEEDED) - group.keys():
        raise ValueError(
            f"expected a state_dict of RMSprop, found a group without {', '.join(sorted(missing))}"
        )
    completed = {**{name: ours[name] for name in OPTIONS}, **group}
    check_options({"momentum": 0, **completed})
    for name, (scale, how) in _CHANGES.items():
        if group.get(name) and group.get(scale, 0) != 0:
            raise ValueError(
                f"expected a state_dict without {name}, found {name}={group[name]} with {scale}="
                f"{group[scale]}: it {how}, which FusedRMSprop does not"
            )
    if any(name in group for name in _OF_TIMM) and not completed["eps_inside_sqrt"]:
        raise ValueError(
            "expected eps_inside_sqrt=True for a state_dict of timm's RMSpropTF, which has eps inside the "
            "square root; found eps_inside_sqrt=False"
        )
    return completed


def _check_shapes(p: Tensor, keys: Sequence[str], state: Mapping[str, Any]) -> None:
    for key in keys:
        if key in state and state[key].shape != p.shape:
            raise ValueError(
                f"expected {key} of its parameter's shape {tuple(p.shape)}, found {tuple(state[key].shape)}"
            )
