"""The forward pass for small machines: embedding tables, transformer layers, head."""
