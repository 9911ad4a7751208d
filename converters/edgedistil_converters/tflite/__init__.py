"""TFLite files as such: their bytes, their structure, the names and the metadata in them."""
