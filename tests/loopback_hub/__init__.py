"""A Hub on the loopback: a small real server for the real huggingface_hub, hf_xet, datasets and transformers.

`with LoopbackHub("lfs", tmp_path) as hub:` starts one; `python -m tests.loopback_hub` serves one by hand.
In this process clients take `endpoint=hub.url, token=hub.token`; in another one they take `env=hub.environment()`.

Faults and records call routes by these names:
whoami, validate, create, delete: of no repository, or a whole one;
info, revision, tree, paths_info, refs, commits, branch, tag, auth_check, discussions: of /api/KINDs/OWNER/NAME;
preupload, batch, lfs_put, complete, verify, xet_token, commit: an upload;
head, resolve: HEAD and GET that lead to the CDN or find nothing; get: content, the CDN's or a regular file's;
"api" is all below /api/, "resolvers" all below /resolve/, "any" is any.
"""

from tests.loopback_hub.answers import Asked
from tests.loopback_hub.hub import LoopbackHub

__all__ = ["Asked", "LoopbackHub"]
