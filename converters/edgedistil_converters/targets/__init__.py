"""Forms of a classifier for accelerators that take fixed lengths: GPUs and Coral's Edge TPU.

Neither takes a tokenizer or an embedding table, so a target is two flatbuffers: one for the CPU, text to embeddings,
and one for the accelerator, embeddings to probabilities (`parts.py`).
"""
