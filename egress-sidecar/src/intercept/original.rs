//! Where a redirected connection was meant to go.

use std::{
    io,
    mem::{MaybeUninit, size_of},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6},
    os::fd::{AsRawFd, BorrowedFd},
};

/// `IP6T_SO_ORIGINAL_DST` of the kernel's headers; the same number as for IPv4.
const IP6T_SO_ORIGINAL_DST: libc::c_int = 80;

/// The address before the redirect. An error means that there was none: somebody has connected to us directly.
pub(super) fn destination(socket: BorrowedFd<'_>, local: SocketAddr) -> io::Result<SocketAddr> {
    let found = match local {
        SocketAddr::V4(_) => v4(socket)?,
        SocketAddr::V6(_) => v6(socket)?,
    };
    if found == local {
        return Err(io::Error::other("not a redirected connection"));
    }
    Ok(found)
}

fn v4(socket: BorrowedFd<'_>) -> io::Result<SocketAddr> {
    let name: libc::sockaddr_in = option(socket, libc::SOL_IP, libc::SO_ORIGINAL_DST)?;
    let address = Ipv4Addr::from(u32::from_be(name.sin_addr.s_addr));
    Ok(SocketAddrV4::new(address, u16::from_be(name.sin_port)).into())
}

fn v6(socket: BorrowedFd<'_>) -> io::Result<SocketAddr> {
    let name: libc::sockaddr_in6 = option(socket, libc::SOL_IPV6, IP6T_SO_ORIGINAL_DST)?;
    let address = Ipv6Addr::from(name.sin6_addr.s6_addr);
    Ok(SocketAddrV6::new(address, u16::from_be(name.sin6_port), 0, 0).into())
}

/// Reads an option that is a socket address. `T` is one of libc's plain structures.
fn option<T: Copy>(socket: BorrowedFd<'_>, level: libc::c_int, name: libc::c_int) -> io::Result<T> {
    let mut value = MaybeUninit::<T>::zeroed();
    let mut length = size_of::<T>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes, which is the size of `value`.
    let result = unsafe {
        libc::getsockopt(socket.as_raw_fd(), level, name, value.as_mut_ptr().cast(), &raw mut length)
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: all zeroes, and whatever the kernel wrote, is a value of these structures.
    Ok(unsafe { value.assume_init() })
}
