//! Sandboxes made directly with namespaces, cgroups and overlayfs.
