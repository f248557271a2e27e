//! The parts put together into a running server.

mod listen;
mod membership;
mod memory;
mod parts;
mod records;
mod serve;
mod spare;

pub use listen::{Listener, Options as ListenOptions};
pub use memory::limit_arenas;
pub use parts::open_images;
pub use serve::serve;
