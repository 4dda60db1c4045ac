"""Real engines on the loopback, for tests and benchmarks: Flink, Spark, Prism, worker pools, small `machines`.

Whatever is started here ends when its block ends, and when the process that started it is killed (`tests.engines.reaper`).
"""
