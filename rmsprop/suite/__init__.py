"""Measures, judges and shows: the harness. Nothing in optimizers/ or book/ imports it."""
