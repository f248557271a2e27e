//! Directories as tar streams, both ways, in memory that does not grow with them.

mod pack;
pub(crate) mod parse;
mod receive;
mod unpack;

pub(crate) use pack::Packer;
pub(crate) use receive::receive;
