"""Alerts over history: where a series of measurements steps up or down, and how sure that is."""
