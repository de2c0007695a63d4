"""Base against head: live pairs of processes that take turns, a screen, a confirmation, a decision."""
