"""FusedRMSprop, RMSProp in one pass over memory."""

from rmsprop.optimizers.fused.backward import FusedRMSpropInBackward
from rmsprop.optimizers.fused.kernels import unavailable
from rmsprop.optimizers.fused.optimizer import FusedRMSprop

__all__ = ["FusedRMSprop", "FusedRMSpropInBackward", "unavailable"]
