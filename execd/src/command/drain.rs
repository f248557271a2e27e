//! Output nobody reads any more.

use std::{io, mem::MaybeUninit, os::fd::OwnedFd};

use tokio::io::unix::AsyncFd;

/// Bytes thrown away by one read.
const READ_BYTES: usize = 64 * 1024;

/// Reads in a row before other tasks get their turn.
const BURST: usize = 16;

/// Empties a pipe until its last writer closes it, so that no process stops or dies because its reader left.
pub(super) async fn discard(pipe: AsyncFd<OwnedFd>) {
    loop {
        let Ok(mut ready) = pipe.readable().await else { return };
        for _ in 0..BURST {
            let mut scratch = [MaybeUninit::<u8>::uninit(); READ_BYTES];
            let read = ready.try_io(|pipe| {
                let (bytes, _) =
                    rustix::io::read(pipe.get_ref(), &mut scratch[..]).map_err(io::Error::from)?;
                Ok(bytes.len())
            });
            match read {
                Ok(Ok(0) | Err(_)) => return,
                Ok(Ok(_)) => {}
                Err(_) => break,
            }
        }
        drop(ready);
        tokio::task::yield_now().await;
    }
}
