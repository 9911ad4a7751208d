"""The classifier as plain arrays, and its conversion from and to KerasHub's layers."""
