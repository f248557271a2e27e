//! Everything private to one server or one slot follows from two values: the tag and the slot number.

use std::{net::Ipv4Addr, os::unix::ffi::OsStrExt, path::Path};

use sha2::{Digest, Sha256};

use super::config::{Cidr, NativeConfig};
use crate::runtime::Slot;

/// Prefix of every interface a Sandkeep server makes; the firewall matches it as a wildcard.
pub(crate) const INTERFACE_PREFIX: &str = "sk";
const TAG_LENGTH: usize = 4;
/// Uids (and gids) in one sandbox.
pub(crate) const IDS_PER_SLOT: u32 = 65536;
/// No id above this is used: older kernels read the group of a sandbox's terminals as a signed number.
const HIGHEST_ID: u32 = i32::MAX as u32;
/// First usable slot: the subnet's first two addresses are the network's and the host's.
const FIRST_SLOT: u16 = 2;

/// MAC address of the host end of every pair; each pair is a link of its own.
pub(crate) const HOST_MAC: [u8; 6] = [0x02, 0x53, 0x4b, 0, 0, 1];

/// What distinguishes this server from others on the host, and how it numbers its slots.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    /// Four characters from the canonical path of the state directory.
    pub tag: String,
    /// Where its sandboxes' addresses come from.
    pub subnet: Cidr,
    uid_base: u32,
    /// Number of usable slots.
    pub capacity: u16,
    /// Where numbering starts, so that the user ids of two servers' sandboxes rarely are the same.
    pub start: u16,
}

impl Names {
    pub(crate) fn new(config: &NativeConfig, subnet: Cidr, canonical_state_dir: &Path) -> Self {
        let digest = Sha256::digest(canonical_state_dir.as_os_str().as_bytes());
        let (_, size) = subnet.range();
        let by_ids = u64::from(HIGHEST_ID.saturating_sub(config.uid_base) / IDS_PER_SLOT);
        let last = (size.saturating_sub(2)).min(by_ids.saturating_sub(1)).min(u64::from(u16::MAX)) as u16;
        let capacity = (last + 1).saturating_sub(FIRST_SLOT);
        let seed = u16::from_be_bytes([digest[4], digest[5]]);
        Self {
            tag: tag(canonical_state_dir),
            subnet,
            uid_base: config.uid_base,
            capacity,
            start: seed.checked_rem(capacity).unwrap_or(0),
        }
    }

    /// The `index`-th slot counted from this server's starting point, wrapping around.
    pub(crate) fn slot(&self, index: u32) -> Slot {
        let offset = (u32::from(self.start) + index) % u32::from(self.capacity.max(1));
        self.numbered(FIRST_SLOT + offset as u16)
    }

    pub(crate) fn numbered(&self, number: u16) -> Slot {
        Slot { number, address: Ipv4Addr::from(self.subnet.range().0 + u32::from(number)) }
    }

    /// The host's address as sandboxes see it.
    pub(crate) fn gateway(&self) -> Ipv4Addr {
        Ipv4Addr::from(self.subnet.range().0 + 1)
    }

    pub(crate) fn interface(&self, slot: u16) -> String {
        format!("{INTERFACE_PREFIX}{}{slot}", self.tag)
    }

    /// Slot number of an interface of this server.
    pub(crate) fn slot_of_interface(&self, name: &str) -> Option<u16> {
        name.strip_prefix(INTERFACE_PREFIX)?.strip_prefix(self.tag.as_str())?.parse().ok()
    }

    pub(crate) fn table(&self) -> String {
        format!("sandkeep_{}", self.tag)
    }

    /// Directory of this server in every cgroup hierarchy.
    pub(crate) fn cgroup_parent(&self) -> String {
        format!("sandkeep-{}", self.tag)
    }

    pub(crate) fn uid_base(&self, slot: u16) -> u32 {
        self.uid_base + u32::from(slot) * IDS_PER_SLOT
    }
}

/// The four characters that mark everything of the server with this state directory.
pub(crate) fn tag(canonical_state_dir: &Path) -> String {
    let digest = Sha256::digest(canonical_state_dir.as_os_str().as_bytes());
    let character = |byte: &u8| char::from(b"0123456789abcdefghijklmnopqrstuv"[usize::from(byte & 31)]);
    digest.iter().take(TAG_LENGTH).map(character).collect()
}

/// The tag in the name of an interface that some server made for a sandbox.
pub(crate) fn tag_of_interface(name: &str) -> Option<&str> {
    let (tag, slot) = name.strip_prefix(INTERFACE_PREFIX)?.split_at_checked(TAG_LENGTH)?;
    slot.parse::<u16>().ok().map(|_| tag)
}

/// MAC address of the sandbox's end.
pub(crate) fn sandbox_mac(slot: u16) -> [u8; 6] {
    let [high, low] = slot.to_be_bytes();
    [0x02, 0x53, 0x4b, 1, high, low]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(subnet: &str) -> Names {
        Names::new(&NativeConfig::default(), subnet.parse().unwrap(), Path::new("/var/lib/sandkeep"))
    }

    #[test]
    fn interface_names_fit_and_round_trip() {
        let names = names("10.231.0.0/16");
        assert_eq!(names.tag.len(), 4);
        let name = names.interface(61000);
        assert!(name.len() <= 15, "{name}");
        assert_eq!(names.slot_of_interface(&name), Some(61000));
        assert_eq!(names.slot_of_interface("sk"), None);
        assert_eq!(names.slot_of_interface("eth0"), None);
        assert_eq!(tag_of_interface(&name), Some(names.tag.as_str()));
        assert_eq!([tag_of_interface("sk"), tag_of_interface("sky0"), tag_of_interface("skabcd")], [None; 3]);
    }

    #[test]
    fn every_slot_is_distinct_and_inside_the_subnet() {
        let names = names("10.9.0.0/28");
        assert_eq!(names.capacity, 13);
        let mut numbers: Vec<_> = (0..13).map(|i| names.slot(i).number).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (2..15).collect::<Vec<_>>());
        assert_eq!(names.slot(0), names.slot(13));
        assert_eq!(names.gateway(), Ipv4Addr::new(10, 9, 0, 1));
    }

    #[test]
    fn the_highest_id_is_one_that_older_kernels_take() {
        let names = names("10.0.0.0/8");
        let last = (0..u32::from(names.capacity)).map(|i| names.slot(i).number).max().unwrap();
        assert!(u64::from(names.uid_base(last)) + u64::from(IDS_PER_SLOT) <= u64::from(HIGHEST_ID) + 1);
        assert!(last > 20_000, "{last}");
    }

    #[test]
    fn a_subnet_without_room_has_no_slots() {
        assert_eq!(names("10.9.0.0/31").capacity, 0);
    }
}
