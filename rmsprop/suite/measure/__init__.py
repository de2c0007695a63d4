"""rmsprop/suite/measure."""
