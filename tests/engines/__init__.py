"""Real engines on the loopback, for tests and benchmarks: Flink, Spark, Prism, worker pools.

Whatever is started here ends when its block ends, or when the process that started it dies (`tests.engines.reaper`).
"""
