"""Distillation: students that learn from a larger encoder."""
