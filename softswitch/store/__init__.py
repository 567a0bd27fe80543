"""The store: call detail records, bindings and features in SQLite or PostgreSQL, written off the
call path."""

from softswitch.store.database import StoreError
from softswitch.store.records import (
    BindingRecord,
    CdrFilter,
    CdrRecord,
    FeatureChange,
    LegRecord,
    Quality,
    SegmentRecord,
)
from softswitch.store.store import Store

__all__ = [
    "BindingRecord",
    "CdrFilter",
    "CdrRecord",
    "FeatureChange",
    "LegRecord",
    "Quality",
    "SegmentRecord",
    "Store",
    "StoreError",
]
