"""Addresses of files: local paths, fsspec URLs, and URLs chained with `::`, such as `zip://a.jsonl::s3://b/c.zip`."""

from __future__ import annotations

# what to install for a scheme; fsspec's own messages name no command
_PACKAGES = {
    "http": "aiohttp requests",
    "https": "aiohttp requests",
    "s3": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "abfs": "adlfs",
    "az": "adlfs",
    "hf": "huggingface_hub",
    "ssh": "paramiko",
    "sftp": "paramiko",
    "smb": "smbprotocol",
}


def path_of(address: str) -> str:
    """The path that tells a file's name and extension: that of the first link, without the query of a web address.

    `zip://a.jsonl::b.zip` -> `a.jsonl`, `simplecache::https://h/x.json.gz?download=true` -> `h/x.json.gz`.
    """
    link = _first_with_path(address)
    scheme, separator, path = link.partition("://")
    if not separator:
        return link
    return path.partition("#")[0].partition("?")[0] if _is_web(scheme) else path


def with_path(address: str, path: str) -> str:
    """`address` with another path in its first link that has one. path: as a file system lists it."""
    link = _first_with_path(address)
    scheme = link.partition("://")[0]
    local = scheme in ("file", "local")
    chosen = path if "://" in path else f"{scheme}://{path if local else path.lstrip('/')}"
    return address.replace(link, chosen, 1)


def wildcards(address: str) -> frozenset[str]:
    """The characters that make a pattern of it. In a web address, `?` begins the query."""
    return frozenset("*[") if _is_web(_first_with_path(address).partition("://")[0]) else frozenset("*?[")


def packages_for(address: str) -> str | None:
    """The packages that reading the address may lack, as pip names them."""
    schemes = [link.partition("://")[0] for link in address.split("::")]
    return next((_PACKAGES[scheme] for scheme in schemes if scheme in _PACKAGES), None)


def _first_with_path(address: str) -> str:
    """`simplecache::https://x` -> `https://x`: a link without a path only changes how the next one is read."""
    links = address.split("::")
    return next((link for link in links if "://" in link), links[0]) if len(links) > 1 else address


def _is_web(scheme: str) -> bool:
    return scheme.lower() in ("http", "https")
