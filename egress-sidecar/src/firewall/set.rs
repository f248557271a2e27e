//! Sets of addresses.

use std::{net::IpAddr, time::Duration};

use super::{TABLE, message::Batch};
use crate::config::Cidr;

/// Elements of one message: its list must stay below 64 KiB.
const ELEMENTS_PER_MESSAGE: usize = 1000;
/// Addresses of a set that names fill, so that a namespace cannot take all the memory of its host.
pub(super) const MAX_ELEMENTS: u32 = 65_536;

// What tools such as `nft` show elements as.
const TYPE_IPV4: u32 = 7;
const TYPE_IPV6: u32 = 8;

// Attributes of linux/netfilter/nf_tables.h.
const SET_TABLE: u16 = 1;
const SET_NAME: u16 = 2;
const SET_FLAGS: u16 = 3;
const SET_KEY_TYPE: u16 = 4;
const SET_KEY_LENGTH: u16 = 5;
const SET_DESCRIPTION: u16 = 9;
const SET_ID: u16 = 10;
const DESCRIPTION_SIZE: u16 = 1;
const LIST_TABLE: u16 = 1;
const LIST_SET: u16 = 2;
const LIST_ELEMENTS: u16 = 3;
const LIST_ELEMENT: u16 = 1;
const ELEMENT_KEY: u16 = 1;
const ELEMENT_FLAGS: u16 = 3;
const ELEMENT_TIMEOUT: u16 = 4;
const DATA_VALUE: u16 = 1;

/// One element.
#[derive(Debug, Clone, Copy)]
pub(super) struct Element {
    pub(super) address: IpAddr,
    /// Ends an interval rather than being in the set.
    pub(super) end: bool,
    pub(super) timeout: Option<Duration>,
}

/// A set that changes while it is in use, whose elements may run out.
pub(super) fn add_timed(batch: &mut Batch, name: &str, v6: bool) {
    add(batch, name, v6, libc::NFT_SET_TIMEOUT, Some(MAX_ELEMENTS));
}

/// A set of blocks.
pub(super) fn add_blocks(batch: &mut Batch, name: &str, v6: bool, blocks: &[Cidr]) {
    add(batch, name, v6, libc::NFT_SET_INTERVAL, None);
    add_elements(batch, name, &intervals(blocks));
}

fn add(batch: &mut Batch, name: &str, v6: bool, flags: i32, size: Option<u32>) {
    let (kind, length) = if v6 { (TYPE_IPV6, 16) } else { (TYPE_IPV4, 4) };
    let id = batch.last;
    batch.message(libc::NFT_MSG_NEWSET, libc::NLM_F_CREATE | libc::NLM_F_EXCL, |m| {
        m.text(SET_TABLE, TABLE).text(SET_NAME, name).number(SET_FLAGS, flags as u32);
        m.number(SET_KEY_TYPE, kind).number(SET_KEY_LENGTH, length).number(SET_ID, id);
        if let Some(size) = size {
            m.nested(SET_DESCRIPTION, |m| {
                m.number(DESCRIPTION_SIZE, size);
            });
        }
    });
}

pub(super) fn delete(batch: &mut Batch, name: &str) {
    batch.message(libc::NFT_MSG_DELSET, 0, |m| {
        m.text(SET_TABLE, TABLE).text(SET_NAME, name);
    });
}

pub(super) fn add_elements(batch: &mut Batch, set: &str, elements: &[Element]) {
    change_elements(batch, libc::NFT_MSG_NEWSETELEM, libc::NLM_F_CREATE, set, elements);
}

pub(super) fn delete_elements(batch: &mut Batch, set: &str, elements: &[Element]) {
    change_elements(batch, libc::NFT_MSG_DELSETELEM, 0, set, elements);
}

fn change_elements(batch: &mut Batch, kind: i32, flags: i32, set: &str, elements: &[Element]) {
    for part in elements.chunks(ELEMENTS_PER_MESSAGE) {
        batch.message(kind, flags, |m| {
            m.text(LIST_TABLE, TABLE).text(LIST_SET, set).nested(LIST_ELEMENTS, |m| {
                for element in part {
                    m.nested(LIST_ELEMENT, |m| {
                        m.nested(ELEMENT_KEY, |m| {
                            match element.address {
                                IpAddr::V4(v4) => m.bytes(DATA_VALUE, &v4.octets()),
                                IpAddr::V6(v6) => m.bytes(DATA_VALUE, &v6.octets()),
                            };
                        });
                        if element.end {
                            m.number(ELEMENT_FLAGS, libc::NFT_SET_ELEM_INTERVAL_END as u32);
                        }
                        if let Some(timeout) = element.timeout {
                            m.long(ELEMENT_TIMEOUT, timeout.as_millis() as u64);
                        }
                    });
                }
            });
        });
    }
}

/// Blocks of one family as intervals that do not touch, which is what the kernel wants.
fn intervals(blocks: &[Cidr]) -> Vec<Element> {
    let mut ranges: Vec<(IpAddr, IpAddr)> =
        blocks.iter().map(|block| (block.first(), block.last())).collect();
    ranges.sort_unstable();
    let mut merged: Vec<(IpAddr, IpAddr)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match merged.last_mut() {
            Some((_, end)) if after(*end).is_none_or(|next| first <= next) => *end = last.max(*end),
            _ => merged.push((first, last)),
        }
    }
    let element = |address, end| Element { address, end, timeout: None };
    let ends = merged.into_iter().flat_map(|(first, last)| {
        // One that reaches to the last of all addresses has no end.
        [Some(element(first, false)), after(last).map(|next| element(next, true))]
    });
    ends.flatten().collect()
}

fn after(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(v4) => v4.to_bits().checked_add(1).map(|bits| IpAddr::V4(bits.into())),
        IpAddr::V6(v6) => v6.to_bits().checked_add(1).map(|bits| IpAddr::V6(bits.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(blocks: &[&str]) -> Vec<String> {
        let blocks: Vec<Cidr> = blocks.iter().map(|text| text.parse().unwrap()).collect();
        let name = |element: Element| format!("{}{}", if element.end { "-" } else { "" }, element.address);
        intervals(&blocks).into_iter().map(name).collect()
    }

    #[test]
    fn blocks_that_overlap_or_touch_become_one() {
        assert_eq!(shown(&["10.0.0.0/8", "10.1.0.0/16", "11.0.0.0/8"]), ["10.0.0.0", "-12.0.0.0"]);
        assert_eq!(shown(&["1.1.1.2", "1.1.1.1"]), ["1.1.1.1", "-1.1.1.3"]);
        assert_eq!(shown(&["1.1.1.3", "1.1.1.1"]), ["1.1.1.1", "-1.1.1.2", "1.1.1.3", "-1.1.1.4"]);
    }

    #[test]
    fn what_reaches_the_last_address_has_no_end() {
        assert_eq!(shown(&["0.0.0.0/0", "1.2.3.4"]), ["0.0.0.0"]);
        assert_eq!(shown(&["255.255.255.255"]), ["255.255.255.255"]);
        assert_eq!(shown(&["::/0"]), ["::"]);
        assert!(shown(&[]).is_empty());
    }
}
