"""What measures energy: codecarbon, offline; and NVML, the counters of NVIDIA's GPUs."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import logging
from typing import Any, Protocol

from corpora.errors import BadArgument
from tamiz.trainer.energy import JOULES_PER_KWH, Energy

_LOG = logging.getLogger(__name__)
_FAR = 0.10  # codecarbon's energy of GPUs may differ from their counters by this share


class Meter(Protocol):
    """Measures since it was made."""

    def read(self) -> Energy:
        """The energy so far, without `seconds`."""

    def close(self) -> None:
        """Ends threads."""


class _Codecarbon:
    """codecarbon's offline tracker for the whole machine."""

    def __init__(self, package: Any, country: str | None, counter: _Nvml | None, *, has_gpus: bool) -> None:
        self._counter, self._has_gpus, self._country, self._warned = counter, has_gpus, country, False
        self._last: list[Any] = []
        # a tracker can't be without a country; without one of ours, its CO2 is left out
        self._tracker = package.OfflineEmissionsTracker(
            country_iso_code=country or "ESP", output_methods=[], output_handlers=[_Last(self._last)],
            log_level="critical", tracking_mode="machine", measure_power_secs=15, allow_multiple_runs=True,
        )  # fmt: skip
        self._tracker.start()
        self._estimated = not importlib.import_module("codecarbon.core.cpu").is_rapl_available()

    @property
    def works(self) -> bool:
        """Whether it measures: its constructor and its methods keep their errors to themselves."""
        self._tracker.flush()
        return bool(self._last)

    def read(self) -> Energy:
        self._tracker.flush()
        return self._energy(self._last[-1])

    def close(self) -> None:
        self._tracker.stop()

    def _energy(self, data: Any) -> Energy:
        gpu: float | None = data.gpu_energy
        if self._has_gpus:
            gpu = self._checked(data.gpu_energy)
        return Energy(
            cpu_kwh=data.cpu_energy, gpu_kwh=gpu, ram_kwh=data.ram_energy, by="codecarbon", estimated=self._estimated,
            co2_kg=data.emissions if self._country is not None else None,
        )  # fmt: skip

    def _checked(self, kwh: float) -> float | None:
        """codecarbon reads 0 from GPUs without a counter: then the energy isn't known, rather than nothing."""
        counted = self._counter.kwh() if self._counter is not None else None
        if not self._warned and (not kwh or (counted is not None and abs(counted - kwh) > _FAR * counted > 1e-6)):
            _LOG.warning("codecarbon's energy of the GPU is %.6f kWh; the GPU's counter says %s", kwh, counted)
            self._warned = True
        return kwh or counted


class _Last:
    """One of codecarbon's outputs: keeps the last record."""

    def __init__(self, records: list[Any]) -> None:
        self._records = records

    def out(self, total: Any, _delta: Any) -> None:
        self._records[:] = [total]

    def live_out(self, _total: Any, _delta: Any) -> None:
        """Nothing: records are read when they are needed."""

    def task_out(self, _data: Any, _experiment: str) -> None:
        """Nothing: there are no tasks."""

    def exit(self) -> None:
        """Nothing to close."""


def codecarbon_meter(country: str | None, gpus: tuple[str, ...]) -> Meter | None:
    try:
        package = importlib.import_module("codecarbon")
    except ImportError:
        if country is not None:
            _LOG.warning("train.country is %s, but codecarbon is not installed: there will be no CO2", country)
        return None
    logging.getLogger("codecarbon").setLevel(logging.CRITICAL)
    counter = nvml_meter(gpus)
    try:
        made = _Codecarbon(package, country, counter, has_gpus=bool(gpus))
        if made.works:
            return made
        reason: object = "it gives no figures"
    except Exception as error:  # of whatever reads this machine: a training doesn't end for it
        reason = error
    _LOG.warning("codecarbon can't measure here (%s): energy is not measured by it", reason)
    return None


def require_known_country(country: str | None) -> None:
    """Raises BadArgument for a country that codecarbon doesn't know: it would take the world's mean."""
    if country is None or importlib.util.find_spec("codecarbon") is None:
        return
    known = importlib.import_module("codecarbon.input").DataSource().get_global_energy_mix_data()
    if country not in known:
        raise BadArgument(
            f"train.country is {country!r}, which codecarbon has no figures for: use another code of three letters "
            "(ISO 3166-1 alpha-3, such as BRA), or leave it out"
        )


class _Nvml:
    """The energy counters of GPUs, through nvidia-ml-py."""

    def __init__(self, nvml: Any, gpus: tuple[str, ...]) -> None:
        self._nvml = nvml
        nvml.nvmlInit()
        self._handles = [nvml.nvmlDeviceGetHandleByUUID(gpu) for gpu in gpus]
        self._first = self._millijoules()

    def kwh(self) -> float:
        """Since it was made."""
        return (self._millijoules() - self._first) / 1000 / JOULES_PER_KWH

    def read(self) -> Energy:
        return Energy(gpu_kwh=self.kwh(), by="NVML")

    def close(self) -> None:
        with contextlib.suppress(self._nvml.NVMLError):
            self._nvml.nvmlShutdown()

    def _millijoules(self) -> int:
        return sum(self._nvml.nvmlDeviceGetTotalEnergyConsumption(handle) for handle in self._handles)


def nvml_meter(gpus: tuple[str, ...]) -> _Nvml | None:
    """None without GPUs, without nvidia-ml-py, and where the GPU has no counter, as a virtual one."""
    if not gpus:
        return None
    try:
        nvml = importlib.import_module("pynvml")
    except ImportError:
        return None
    try:
        return _Nvml(nvml, gpus)
    except nvml.NVMLError as error:
        _LOG.warning("the GPU's energy counter can't be read: %s", error)
        return None
