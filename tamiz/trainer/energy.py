"""The energy of a training, by component; `energy_meter` measures it."""

from __future__ import annotations

from typing import Any

from corpora.config import Config

NOT_MEASURED = "not measured (codecarbon is not installed)"
JOULES_PER_KWH = 3.6e6


class Energy(Config, frozen=True, kw_only=True):
    """Energy in kWh by component, over `seconds` of work. None: not measured."""

    seconds: float = 0.0
    cpu_kwh: float | None = None
    gpu_kwh: float | None = None
    ram_kwh: float | None = None
    co2_kg: float | None = None
    """None without a country, or without codecarbon."""
    by: str | None = None
    """The program that measured: codecarbon or NVML."""
    estimated: bool = False
    """Whether the processor has no energy counter that may be read (RAPL), so that its part comes from its rated
    power and load. The part of the memory always comes from its size."""
    interruptions: int = 0
    """How often the training was continued. What ran after the last checkpoint before each of them isn't included."""

    @property
    def kwh(self) -> float | None:
        """The sum of what was measured."""
        parts = [part for part in (self.cpu_kwh, self.gpu_kwh, self.ram_kwh) if part is not None]
        return sum(parts) if parts else None

    def plus(self, other: Energy) -> Energy:
        """Both together. What only one of them measured is that one's."""
        names = ("cpu_kwh", "gpu_kwh", "ram_kwh", "co2_kg")
        sums = {name: _sum(getattr(self, name), getattr(other, name)) for name in names}
        return Energy(
            seconds=self.seconds + other.seconds,
            by=other.by or self.by,
            estimated=self.estimated or other.estimated,
            interruptions=self.interruptions + other.interruptions,
            **sums,
        )

    def facts(self, tokens: int) -> dict[str, Any]:
        """For metrics.json; tokens: ids that the model read in all."""
        kwh = self.kwh
        return {
            "energy_kwh": kwh,
            "energy_seconds": self.seconds,
            "energy_cpu_kwh": self.cpu_kwh,
            "energy_gpu_kwh": self.gpu_kwh,
            "energy_ram_kwh": self.ram_kwh,
            "energy_joules_per_token": kwh * JOULES_PER_KWH / tokens if kwh is not None and tokens else None,
            "energy_by": self.by,
            "energy_estimated": self.estimated,
            "energy_interruptions": self.interruptions,
            "co2_kg": self.co2_kg,
        }


def _sum(a: float | None, b: float | None) -> float | None:
    return b if a is None else a if b is None else a + b
