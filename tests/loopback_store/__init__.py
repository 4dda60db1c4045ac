"""An S3 server on the loopback with faults on demand: localbucket (PyPI), with what tamiz relies on besides.

    with loopback_store() as store:
        store.environment                 # variables for this process or another: AWS_ENDPOINT_URL, keys
        store.address("run")              # s3://tests/run
        store.faults.refuse = 0.3         # 503 to 30% of the requests

`loopback_store` also sets the variables in this process while its block runs. As a process of its own:
`python -m tests.loopback_store --port 9000 [--refuse 0.3]`.
"""

from __future__ import annotations

from tests.loopback_store.faults import Faults
from tests.loopback_store.server import LoopbackStore, loopback_store

__all__ = ["Faults", "LoopbackStore", "loopback_store"]
