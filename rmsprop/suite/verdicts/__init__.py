"""rmsprop/suite/verdicts."""
