"""Measure the speed of files on the device that runs them, with only the runtime.

Modules: `machine` has the type of machine, `texts` the texts to time, `timing` the runs, `load_cost` a start in a new
process, `speed` the result for several files side by side.
"""

__all__: list[str] = []
