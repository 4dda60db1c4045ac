"""A Hub on the loopback: a small real server for the real huggingface_hub, hf_xet, datasets and transformers.

`with LoopbackHub("lfs", tmp_path) as hub:` starts one; `python -m tests.loopback_hub` serves one by hand.
"""

from tests.loopback_hub.answers import Asked
from tests.loopback_hub.hub import LoopbackHub

__all__ = ["Asked", "LoopbackHub"]
