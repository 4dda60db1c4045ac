"""How object stores are reached: keys and endpoint from the usual environment, patience, and its bounds.

S3: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION, AWS_ENDPOINT_URL (http too), a profile
(AWS_PROFILE, ~/.aws) where botocore is installed, else the role of the machine. Google:
GOOGLE_APPLICATION_CREDENTIALS, or the machine's account. Azure: AZURE_STORAGE_ACCOUNT_NAME with a key, a token or the
machine's identity.
"""

from __future__ import annotations

import functools
import os
from datetime import timedelta
from typing import Any

from corpora import extras
from corpora.errors import TamizError

RETRIES = 10  # of a request that a store answers with 5xx or 429, or not at all
RETRY_SECONDS = 180  # after which it isn't tried again
SECONDS = 120  # of one request
BACKOFF = 6.0  # a pause is up to so many times the one before; first 0.1 s, at most 15 s: all tries take a minute
BOUND = f"a request is given up after {RETRIES} more tries, or {(RETRY_SECONDS + SECONDS) // 60} minutes"
OPTIONS: dict[str, Any] = {"checksum_algorithm": "SHA256", "disable_bulk_delete": True}  # some lack DeleteObjects
_ADVICE = {
    "s3": "set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION (AWS_ENDPOINT_URL); profiles need botocore",
    "gs": "let GOOGLE_APPLICATION_CREDENTIALS name a key file that may write there",
    "az": "set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}
_OWN_KEYS = (  # where obstore finds keys by itself
    "AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_SKIP_SIGNATURE",
)  # fmt: skip


def advice(kind: str) -> str:
    return _ADVICE[kind]


def client(kind: str, bucket: str, address: str) -> Any:
    """obstore's client of a bucket, one for all folders in it. Raises TamizError without obstore."""
    environment = tuple(sorted((k, v) for k, v in os.environ.items() if k.startswith(("AWS_", "GOOGLE_", "AZURE_"))))
    try:
        return _client(kind, bucket, environment)
    except ImportError as error:
        raise TamizError(f"{address} needs obstore: {extras.line('stores')}") from error
    except Exception as error:  # obstore raises many kinds for wrong settings
        raise TamizError(f"{address}: {str(error).partition('Debug source')[0].strip()}: {advice(kind)}") from error


@functools.lru_cache(64)
def _client(kind: str, bucket: str, environment: tuple[tuple[str, str], ...]) -> Any:
    from obstore.store import AzureStore, GCSStore, S3Store

    common = patience()
    if kind == "gs":
        return GCSStore(bucket, **common)
    if kind == "az":
        return AzureStore(bucket, **common)
    return S3Store(bucket, **{**_of_profile(dict(environment)), **OPTIONS, **common})


def patience() -> dict[str, Any]:
    """obstore's options of clients: how long a request may take, and how often it is tried again."""
    return {
        "client_options": {
            "timeout": timedelta(seconds=SECONDS),
            "connect_timeout": "10s",
            "allow_http": _plain_http(),
        },
        "retry_config": {
            "max_retries": RETRIES,
            "retry_timeout": timedelta(seconds=RETRY_SECONDS),
            "backoff": {
                "init_backoff": timedelta(seconds=0.1),
                "max_backoff": timedelta(seconds=15),
                "base": BACKOFF,
            },
        },
    }


def endpoint() -> str | None:
    """Where S3 is, if not at Amazon."""
    profile = None if "AWS_ACCESS_KEY_ID" in os.environ else session()
    named = profile.get_scoped_config().get("endpoint_url") if profile else None
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or named


def _plain_http() -> bool:
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AZURE_STORAGE_ENDPOINT", "GOOGLE_BASE_URL")
    return any(os.environ.get(name, "").startswith("http://") for name in names)


def _of_profile(environment: dict[str, str]) -> dict[str, Any]:
    """What the user's profile adds where the environment has no keys."""
    given: dict[str, Any] = (
        {"endpoint": environment["AWS_ENDPOINT_URL_S3"]} if "AWS_ENDPOINT_URL_S3" in environment else {}
    )
    found = None if any(name in environment for name in _OWN_KEYS) else session()
    if found is None or found.get_credentials() is None:
        return given
    config = found.get_scoped_config()
    if "AWS_REGION" not in environment and found.get_config_variable("region"):
        given["region"] = found.get_config_variable("region")
    if config.get("endpoint_url") and "AWS_ENDPOINT_URL" not in environment:
        given.setdefault("endpoint", config["endpoint_url"])
    return {**given, "credential_provider": functools.partial(_keys, found)}


def session() -> Any:
    """botocore's session; None if it isn't installed."""
    try:
        from botocore.session import Session
    except ImportError:
        return None
    return Session()


def _keys(found: Any) -> dict[str, Any]:
    """Fresh keys of a profile, as obstore asks for them."""
    keys = found.get_credentials().get_frozen_credentials()
    expires = getattr(found.get_credentials(), "_expiry_time", None)
    return {
        "access_key_id": keys.access_key,
        "secret_access_key": keys.secret_key,
        "token": keys.token,
        "expires_at": expires,
    }
