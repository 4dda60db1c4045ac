"""The base of every settings class: frozen, keyword-only, unknown keys refused."""

from __future__ import annotations

import msgspec


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of one component. Subclasses restate `frozen=True, kw_only=True`."""

    def asdict(self) -> dict[str, object]:
        """Plain data, ready for JSON."""
        plain: dict[str, object] = msgspec.to_builtins(self)
        return plain
