"""Measuring models: speed, memory, scores and what is in a file.

texts          texts to time
load_cost      cost of a start, in a process that does nothing else
speed          latency and throughput of files that take turns
machine        the machine that was measured on
baseline       TF-IDF and a linear model, trained beside the models for comparison
models         speed, scores and facts of files and presets, for a report
measurements   the values that `models` returns
"""
