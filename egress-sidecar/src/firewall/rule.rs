//! Rules as the kernel sees them: lists of expressions over registers.

use std::net::IpAddr;

use super::message::Attributes;

// Attributes and constants of linux/netfilter/nf_tables.h.
const LIST_ELEMENT: u16 = 1;
const EXPRESSION_NAME: u16 = 1;
const EXPRESSION_DATA: u16 = 2;
const DATA_VALUE: u16 = 1;
const DATA_VERDICT: u16 = 2;
const VERDICT_CODE: u16 = 1;
const VERDICT_CHAIN: u16 = 2;
const LIMIT_RATE: u16 = 1;
const LIMIT_UNIT: u16 = 2;
const LIMIT_BURST: u16 = 3;
const LOG_GROUP: u16 = 1;
const LOG_LENGTH: u16 = 3;
const FIB_ADDRESS_TYPE: u32 = 3;
const FIB_SOURCE: u32 = 1;
const REGISTER: u32 = 1;
const VERDICT_REGISTER: u32 = 0;

/// Something a packet is asked, or that is done with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// The family of its addresses.
    Family(bool),
    /// It is TCP.
    Tcp,
    /// It is UDP.
    Udp,
    /// It is ICMP of IPv6 of that type.
    Icmp6(u8),
    /// It goes to this port.
    ToPort(u16),
    /// It comes from this port.
    FromPort(u16),
    /// It stays in the namespace (or does not).
    Loopback(bool),
    /// Its socket has this mark.
    Mark(u32),
    /// Its socket belongs to this user (or does not).
    User(u32, bool),
    /// Its connection has this mark (or does not).
    ConnectionMark(u32, bool),
    /// From now on its connection has this mark.
    MarkConnection(u32),
    /// It answers somebody outside who began the connection.
    Reply,
    /// Its connection was let pass before.
    Established,
    /// It comes from an address that is not one of the namespace's.
    Foreign,
    /// It goes to this address.
    To(IpAddr),
    /// It goes to an address in this set of IPv4 (`false`) or IPv6 (`true`) addresses.
    ToSet(String, bool),
    Accept,
    Drop,
    /// Refused so that the sender learns of it: TCP by a reset.
    Reset,
    /// Refused so that the sender learns of it: the rest by ICMP.
    Unreachable,
    /// To this local port instead.
    Redirect(u16),
    /// Judged by the rules of that chain from here on.
    Goto(&'static str),
    /// Not more often than so many times a second, and so many at once.
    Limit(u64, u32),
    /// Its beginning, so many bytes, is told to who listens to this group. Nobody is waited for.
    Log(u16, u32),
}

impl Step {
    /// Appends the expressions of this step.
    pub(super) fn write(&self, m: &mut Attributes<'_>) {
        match self {
            Self::Family(v6) => {
                meta(m, libc::NFT_META_NFPROTO);
                let family = if *v6 { libc::NFPROTO_IPV6 } else { libc::NFPROTO_IPV4 };
                compare(m, true, &[family as u8]);
            }
            Self::Tcp => protocol(m, libc::IPPROTO_TCP),
            Self::Udp => protocol(m, libc::IPPROTO_UDP),
            Self::Icmp6(kind) => {
                protocol(m, libc::IPPROTO_ICMPV6);
                payload(m, libc::NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1);
                compare(m, true, &[*kind]);
            }
            Self::ToPort(port) => at_port(m, 2, *port),
            Self::FromPort(port) => at_port(m, 0, *port),
            Self::Loopback(inside) => {
                meta(m, libc::NFT_META_OIFTYPE);
                compare(m, *inside, &libc::ARPHRD_LOOPBACK.to_ne_bytes());
            }
            Self::Mark(mark) => {
                meta(m, libc::NFT_META_MARK);
                compare(m, true, &mark.to_ne_bytes());
            }
            Self::User(user, same) => {
                meta(m, libc::NFT_META_SKUID);
                compare(m, *same, &user.to_ne_bytes());
            }
            Self::ConnectionMark(mark, same) => {
                connection(m, libc::NFT_CT_MARK);
                compare(m, *same, &mark.to_ne_bytes());
            }
            Self::MarkConnection(mark) => {
                immediate(m, &mark.to_ne_bytes());
                expression(m, "ct", |m| {
                    m.number(2, libc::NFT_CT_MARK as u32).number(4, REGISTER);
                });
            }
            Self::Reply => {
                connection(m, libc::NFT_CT_DIRECTION);
                compare(m, true, &[1]);
            }
            Self::Established => {
                const ESTABLISHED_OR_RELATED: u32 = 0b110;
                connection(m, libc::NFT_CT_STATE);
                expression(m, "bitwise", |m| {
                    m.number(1, REGISTER).number(2, REGISTER).number(3, 4);
                    m.nested(4, |m| value(m, &ESTABLISHED_OR_RELATED.to_ne_bytes()));
                    m.nested(5, |m| value(m, &[0; 4]));
                });
                compare(m, false, &[0; 4]);
            }
            Self::Foreign => {
                expression(m, "fib", |m| {
                    m.number(1, REGISTER).number(2, FIB_ADDRESS_TYPE).number(3, FIB_SOURCE);
                });
                compare(m, false, &u32::from(libc::RTN_LOCAL).to_ne_bytes());
            }
            Self::To(address) => {
                Self::Family(address.is_ipv6()).write(m);
                destination(m, address.is_ipv6());
                match address {
                    IpAddr::V4(v4) => compare(m, true, &v4.octets()),
                    IpAddr::V6(v6) => compare(m, true, &v6.octets()),
                }
            }
            Self::ToSet(set, v6) => {
                Self::Family(*v6).write(m);
                destination(m, *v6);
                expression(m, "lookup", |m| {
                    m.text(1, set).number(2, REGISTER);
                });
            }
            Self::Accept => verdict(m, libc::NF_ACCEPT),
            Self::Drop => verdict(m, libc::NF_DROP),
            Self::Reset => expression(m, "reject", |m| {
                m.number(1, libc::NFT_REJECT_TCP_RST as u32);
            }),
            Self::Unreachable => expression(m, "reject", |m| {
                m.number(1, libc::NFT_REJECT_ICMPX_UNREACH as u32)
                    .bytes(2, &[libc::NFT_REJECT_ICMPX_ADMIN_PROHIBITED as u8]);
            }),
            Self::Redirect(port) => {
                immediate(m, &port.to_be_bytes());
                expression(m, "redir", |m| {
                    m.number(1, REGISTER);
                });
            }
            Self::Goto(chain) => expression(m, "immediate", |m| {
                m.number(1, VERDICT_REGISTER).nested(2, |m| {
                    m.nested(DATA_VERDICT, |m| {
                        m.number(VERDICT_CODE, libc::NFT_GOTO as u32).text(VERDICT_CHAIN, chain);
                    });
                });
            }),
            Self::Limit(rate, burst) => expression(m, "limit", |m| {
                m.long(LIMIT_RATE, *rate).long(LIMIT_UNIT, 1).number(LIMIT_BURST, *burst);
            }),
            Self::Log(group, length) => expression(m, "log", |m| {
                m.bytes(LOG_GROUP, &group.to_be_bytes()).number(LOG_LENGTH, *length);
            }),
        }
    }
}

fn expression(m: &mut Attributes<'_>, name: &str, data: impl FnOnce(&mut Attributes<'_>)) {
    m.nested(LIST_ELEMENT, |m| {
        m.text(EXPRESSION_NAME, name).nested(EXPRESSION_DATA, data);
    });
}

fn value(m: &mut Attributes<'_>, bytes: &[u8]) {
    m.bytes(DATA_VALUE, bytes);
}

fn meta(m: &mut Attributes<'_>, key: i32) {
    expression(m, "meta", |m| {
        m.number(1, REGISTER).number(2, key as u32);
    });
}

fn connection(m: &mut Attributes<'_>, key: i32) {
    expression(m, "ct", |m| {
        m.number(1, REGISTER).number(2, key as u32);
    });
}

fn payload(m: &mut Attributes<'_>, base: i32, offset: u32, length: u32) {
    expression(m, "payload", |m| {
        m.number(1, REGISTER).number(2, base as u32).number(3, offset).number(4, length);
    });
}

fn compare(m: &mut Attributes<'_>, equal: bool, with: &[u8]) {
    let operation = if equal { libc::NFT_CMP_EQ } else { libc::NFT_CMP_NEQ };
    expression(m, "cmp", |m| {
        m.number(1, REGISTER).number(2, operation as u32).nested(3, |m| value(m, with));
    });
}

fn immediate(m: &mut Attributes<'_>, bytes: &[u8]) {
    expression(m, "immediate", |m| {
        m.number(1, REGISTER).nested(2, |m| value(m, bytes));
    });
}

fn verdict(m: &mut Attributes<'_>, code: i32) {
    expression(m, "immediate", |m| {
        m.number(1, VERDICT_REGISTER).nested(2, |m| {
            m.nested(DATA_VERDICT, |m| {
                m.number(VERDICT_CODE, code as u32);
            });
        });
    });
}

fn protocol(m: &mut Attributes<'_>, number: i32) {
    meta(m, libc::NFT_META_L4PROTO);
    compare(m, true, &[number as u8]);
}

fn at_port(m: &mut Attributes<'_>, offset: u32, port: u16) {
    payload(m, libc::NFT_PAYLOAD_TRANSPORT_HEADER, offset, 2);
    compare(m, true, &port.to_be_bytes());
}

fn destination(m: &mut Attributes<'_>, v6: bool) {
    let (offset, length) = if v6 { (24, 16) } else { (16, 4) };
    payload(m, libc::NFT_PAYLOAD_NETWORK_HEADER, offset, length);
}
