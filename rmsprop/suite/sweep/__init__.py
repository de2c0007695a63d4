"""Sweeps: a job over a grid of settings and many seeds, in chunks for any number of workers."""
