"""FusedRMSprop, RMSProp in one pass over memory."""

from rmsprop.optimizers.fused.optimizer import FusedRMSprop, unavailable

__all__ = ["FusedRMSprop", "unavailable"]
