"""The store: call detail records and bindings in SQLite or PostgreSQL, written off the call
path."""

from softswitch.store.database import StoreError
from softswitch.store.records import BindingRecord, CdrFilter, CdrRecord, LegRecord, Quality
from softswitch.store.store import Store

__all__ = ["BindingRecord", "CdrFilter", "CdrRecord", "LegRecord", "Quality", "Store", "StoreError"]
