"""What a conversion does to the numbers of a model."""
