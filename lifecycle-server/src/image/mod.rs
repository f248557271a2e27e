//! The local store of OCI images: pull, import, unpack, find, collect.
//!
//! An image is a list of unpacked layers, ready to be stacked by overlayfs, and a configuration. Layers are kept by
//! the digest of their plain archive and shared between images. Compressed layers are dropped once unpacked: disk is
//! dearer than the CPU that packs a layer again when it is to be pushed somewhere. Configurations and manifests stay.
//!
//! Several processes may use one store. Each change is made beside the store's visible state and appears by a rename,
//! so that a process killed at any moment leaves nothing half done in sight.
//!
//! ```text
//! ImageStore ── State    what exists, leases, collection      Index, Layout, FileLock
//!      ├─ pull ─ Registry, download ─┐
//!      ├─ import ─ Archive ──────────┼─ LayerClaim ─ unpack
//!      ├─ capture, append ── pack ───┘
//!      └─ export, push ───── repack ── pack
//! ```

mod archive;
mod capture;
mod config;
mod connection;
mod digest;
mod download;
mod error;
mod export;
mod guard;
mod import;
mod index;
mod layer;
mod layout;
mod lock;
mod login;
mod pack;
mod pull;
mod push;
mod reference;
mod registry;
mod repack;
mod space;
mod state;
mod store;
mod types;
mod unpack;

pub use self::{
    capture::{Base, Captured},
    error::ImageError,
    guard::Guard,
    store::ImageStore,
    types::{
        Credentials, Freed, Image, ImageConfig, Lease, Phase, Platform, Progress, ProgressSink, Removed,
        StoreOptions,
    },
};
