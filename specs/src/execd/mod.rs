//! Wire types of the execd API.
