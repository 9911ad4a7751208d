"""Forms of a classifier for accelerators that take fixed lengths: GPUs and Coral's Edge TPU.

Neither takes a tokenizer or an embedding table, so what they run is a second flatbuffer in the artefact, embeddings to
probabilities (`parts.py`); everything before it stays on the CPU.
"""
