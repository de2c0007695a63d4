"""The optimizers of the chapter, one small file each: as the book writes them, and as torch has them.

To add one, write its file and put its `Optimizer` into the list below. Programs name it by its name.
"""

from rmsprop.book.chapter.adadelta import ADADELTA
from rmsprop.book.chapter.adagrad import ADAGRAD
from rmsprop.book.chapter.adam import ADAM
from rmsprop.book.chapter.gradient_descent import GRADIENT_DESCENT
from rmsprop.book.chapter.momentum import MOMENTUM
from rmsprop.book.chapter.optimizer import Optimizer
from rmsprop.book.chapter.rmsprop import RMSPROP
from rmsprop.book.chapter.sgd import SGD

OPTIMIZERS: dict[str, Optimizer] = {
    optimizer.name: optimizer
    for optimizer in (GRADIENT_DESCENT, SGD, MOMENTUM, ADAGRAD, RMSPROP, ADADELTA, ADAM)
}
"""Every optimizer of the chapter, by name, in the order of the book."""
