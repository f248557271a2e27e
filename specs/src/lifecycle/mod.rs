//! Wire types of the Sandbox Lifecycle API.
