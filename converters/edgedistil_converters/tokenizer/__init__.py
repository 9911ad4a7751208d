"""KerasHub's WordPiece tokenizer as tables and a graph of TFLite builtin ops."""
