"""The classifier's forward pass as small machines want it: its weights, its embedding tables, its graph."""
