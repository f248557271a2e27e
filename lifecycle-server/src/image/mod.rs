//! The local store of OCI images.
