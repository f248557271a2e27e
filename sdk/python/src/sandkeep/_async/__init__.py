"""The asynchronous half of the package; `_sync` is generated from it."""
