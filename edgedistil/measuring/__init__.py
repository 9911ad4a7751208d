"""Measuring models: scores, speed and what is in a file; times are taken by `edgedistil_runtime.benchmarking`.

baseline       TF-IDF and a linear model, trained beside the models for comparison
models         speed, scores and facts of files and presets, for a report
measurements   the values that `models` returns
"""
