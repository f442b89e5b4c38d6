"""Mappings: what operators edit. Two columns, a closed list of steps, no code (H34, H35, T9)."""

from core.mapping.book import MappingBook
from core.mapping.mapping import Mapping, load_mapping
from core.mapping.samples import run_samples

__all__ = ["Mapping", "MappingBook", "load_mapping", "run_samples"]
