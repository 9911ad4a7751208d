"""How the tests measure speed."""

from edgedistil_runtime.benchmarking.speed import BenchmarkSettings

SHORT = BenchmarkSettings(runs=1, starts=1, largest_sample=3)
