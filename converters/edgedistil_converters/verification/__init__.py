"""The comparison of a finished file with its plan and with the Keras classifier."""
