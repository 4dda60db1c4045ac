"""Measures the energy of a training with codecarbon, if it is installed."""

from __future__ import annotations

import contextlib
import importlib
import logging
from typing import Any

NOT_MEASURED = "not measured (codecarbon is not installed)"


class EnergyMeter:
    """Measures from `start` to `stop`. Works offline; without codecarbon, `stop` returns None."""

    def __init__(self) -> None:
        self._tracker: Any = None

    def start(self) -> None:
        with contextlib.suppress(ImportError):
            codecarbon = importlib.import_module("codecarbon")
            logging.getLogger("codecarbon").setLevel(logging.ERROR)
            # the country is only used to convert energy to carbon, which is not reported
            self._tracker = codecarbon.OfflineEmissionsTracker(
                country_iso_code="ESP", save_to_file=False, log_level="error"
            )
            self._tracker.start()

    def stop(self) -> float | None:
        """Kilowatt-hours used by this machine since `start`; None if not measured."""
        if self._tracker is None:
            return None
        self._tracker.stop()
        return float(self._tracker.final_emissions_data.energy_consumed)
