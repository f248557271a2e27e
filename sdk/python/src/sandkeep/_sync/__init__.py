# Generated from ../_async by `cargo xtask sdk`; do not edit.
"""The asynchronous half of the package; `_sync` is generated from it."""
