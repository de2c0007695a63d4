"""rmsprop/suite/cli."""
