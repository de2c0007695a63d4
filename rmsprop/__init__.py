"""RMSProp, measured: the book's section 7.6 reproduced, and its implementations benchmarked.

`import rmsprop` imports nothing heavier than torch. The experiment lives in `rmsprop.book`, what is
measured in `rmsprop.optimizers`, and the command line in `rmsprop.cli`.
"""

from rmsprop.optimizers.scratch import init_rmsprop_states, rmsprop, rmsprop_2d

__all__ = ["__version__", "init_rmsprop_states", "rmsprop", "rmsprop_2d"]

__version__ = "0.1.0"
