"""TFLite flatbuffers: their bytes, structure, names and metadata."""
