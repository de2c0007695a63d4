"""Section 7.6, RMSProp. The step itself is `rmsprop.optimizers.scratch`, where it is measured too."""

import torch

from rmsprop.book.chapter.optimizer import Optimizer
from rmsprop.optimizers.scratch import init_rmsprop_states, rmsprop, rmsprop_2d

RMSPROP = Optimizer("rmsprop", init_rmsprop_states, rmsprop, torch.optim.RMSprop, rmsprop_2d)
