"""Quantization: plans, the ranges of activations, and the rounding of weights."""
