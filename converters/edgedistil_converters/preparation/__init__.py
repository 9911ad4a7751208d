"""Changes of a classifier before its conversion: a smaller vocabulary, training with quantization."""
