"""studies/gate."""
