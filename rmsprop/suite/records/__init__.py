"""What was measured: one schema for what is stored, and its readers."""
