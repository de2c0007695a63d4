"""Frames to figures to pages: what people read. Runs nothing and judges nothing itself."""
