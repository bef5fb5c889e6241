"""What `simlift bench` times an environment beside: other people's programs for the same system."""

from .benchmarks import BENCHMARKS, Benchmark, find_benchmark, find_peers

__all__ = ["BENCHMARKS", "Benchmark", "find_benchmark", "find_peers"]
