"""Measures the energy of a training: all of the machine by codecarbon, or its GPUs by their own counters."""

from __future__ import annotations

import os
import time
from typing import Any

import msgspec

from tamiz.trainer.energy import Energy
from tamiz.trainer.energy_sources import Meter, codecarbon_meter, nvml_meter


class EnergyMeter:
    """Measures from `start` to `stop`, in the first process alone (torchrun's RANK), because it counts the machine's.

    country: ISO 3166-1 alpha-3, for CO2. gpus: the UUIDs of the GPUs that the training uses. Works offline.
    """

    def __init__(self, country: str | None = None, gpus: tuple[str, ...] = ()) -> None:
        self._country, self._gpus = country, gpus
        self._before = Energy()
        self._meter: Meter | None = None
        self._began = time.monotonic()

    def start(self) -> None:
        """Raises BadArgument if codecarbon doesn't know the country."""
        if int(os.environ.get("RANK", "0")) == 0:
            self._meter = codecarbon_meter(self._country, self._gpus) or nvml_meter(self._gpus)
        self._began = time.monotonic()

    def resume(self, before: dict[str, Any] | None) -> None:
        """Adds what a checkpoint has: the `asdict` of `read`."""
        known = Energy(**before) if before else Energy()
        self._before = known.plus(Energy(interruptions=1))

    def read(self) -> Energy:
        """The energy so far, that of earlier runs included."""
        if self._meter is None:
            return self._before
        read = msgspec.structs.replace(self._meter.read(), seconds=time.monotonic() - self._began)
        return self._before.plus(read)

    def stop(self) -> Energy:
        """Like `read`, for the last time."""
        total = self.read()
        if self._meter is not None:
            self._meter.close()
        self._before, self._meter = total, None
        return total
