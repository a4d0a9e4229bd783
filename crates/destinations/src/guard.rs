//! The address guard: which addresses may be dialled. Only addresses of the public internet are,
//! unless the configuration makes an exception.
//!
//! It judges addresses, never names or URLs, and it judges the very address that is dialled, so a
//! name that changes its mind between two lookups gains nothing. The ranges are the special-purpose
//! registries of IANA (RFC 6890) and what clouds put beside them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// What an attempt's response says where the guard refused.
pub const BLOCKED: &str = "requests to this IP range are blocked (see the server configuration)";

/// Why an address is refused: the name of its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub &'static str);

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(a: u16, b: u16, c: u16, d: u16, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0), prefix)
}

const REFUSED_V4: &[(Ipv4Net, &str)] = &[
    (v4(0, 0, 0, 0, 8), "this network (0.0.0.0 reaches the host itself)"),
    (v4(10, 0, 0, 0, 8), "private"),
    (v4(100, 64, 0, 0, 10), "carrier-grade NAT, and metadata of some clouds"),
    (v4(127, 0, 0, 0, 8), "loopback"),
    (v4(168, 63, 129, 16, 32), "Azure's WireServer, though in a public range"),
    (v4(169, 254, 0, 0, 16), "link-local, and metadata of most clouds"),
    (v4(172, 16, 0, 0, 12), "private"),
    (v4(192, 0, 0, 0, 24), "protocol assignments, and metadata of one cloud"),
    (v4(192, 0, 2, 0, 24), "documentation"),
    (v4(192, 31, 196, 0, 24), "AS112"),
    (v4(192, 52, 193, 0, 24), "automatic multicast tunnelling"),
    (v4(192, 88, 99, 0, 24), "6to4 relays"),
    (v4(192, 168, 0, 0, 16), "private"),
    (v4(192, 175, 48, 0, 24), "AS112"),
    (v4(198, 18, 0, 0, 15), "benchmarking"),
    (v4(198, 51, 100, 0, 24), "documentation"),
    (v4(203, 0, 113, 0, 24), "documentation"),
    (v4(224, 0, 0, 0, 4), "multicast"),
    (v4(240, 0, 0, 0, 4), "reserved, and broadcast"),
];

/// The only IPv6 range that is assigned to the public internet.
const GLOBAL_V6: Ipv6Net = v6(0x2000, 0, 0, 0, 3);

/// What lies within [`GLOBAL_V6`] and is not public all the same. Teredo and 6to4 carry an IPv4
/// address; both are out of use, so they are refused whole and not unwrapped.
const REFUSED_V6: &[(Ipv6Net, &str)] = &[
    (v6(0x2001, 0, 0, 0, 23), "protocol assignments, with Teredo, ORCHID and benchmarking"),
    (v6(0x2001, 0xdb8, 0, 0, 32), "documentation"),
    (v6(0x2002, 0, 0, 0, 16), "6to4"),
    (v6(0x2620, 0x4f, 0x8000, 0, 48), "AS112"),
    (v6(0x3fff, 0, 0, 0, 20), "documentation"),
];

/// NAT64 (RFC 6052): the last 32 bits are the IPv4 address that the translator dials. A network
/// without IPv4 gives every IPv4 receiver such an address, so it is unwrapped and judged.
const NAT64: Ipv6Net = v6(0x64, 0xff9b, 0, 0, 96);

/// May this address be dialled? `allow` are the exceptions of the configuration.
///
/// An exception in IPv4 holds for its IPv4-mapped form too, which reaches the same socket; not for
/// its NAT64 form, which leads to the translator's network and not to ours.
///
/// # Errors
/// Names the range that the address is refused for.
pub fn judge(address: IpAddr, allow: &[IpNet]) -> Result<(), Refused> {
    let address = address.to_canonical();
    if allow.iter().any(|net| net.contains(&address)) {
        return Ok(());
    }
    match address {
        IpAddr::V4(address) => judge_v4(address),
        IpAddr::V6(address) if NAT64.contains(&address) => {
            let [.., a, b, c, d] = address.octets();
            judge_v4(Ipv4Addr::new(a, b, c, d))
        }
        IpAddr::V6(address) => judge_v6(address),
    }
}

fn judge_v4(address: Ipv4Addr) -> Result<(), Refused> {
    match REFUSED_V4.iter().find(|(net, _)| net.contains(&address)) {
        Some((_, why)) => Err(Refused(why)),
        None => Ok(()),
    }
}

fn judge_v6(address: Ipv6Addr) -> Result<(), Refused> {
    if !GLOBAL_V6.contains(&address) {
        return Err(Refused("not a public IPv6 address"));
    }
    match REFUSED_V6.iter().find(|(net, _)| net.contains(&address)) {
        Some((_, why)) => Err(Refused(why)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both ends of every range, their neighbours, and the metadata addresses of the clouds.
    #[test]
    fn every_range_is_judged_at_its_edges() {
        let mut count = 0;
        for line in include_str!("../tests/data/addresses.txt").lines() {
            let Some((verdict, address)) = line.split_once(' ') else { continue };
            if line.starts_with('#') {
                continue;
            }
            let judged = judge(address.parse().expect(line), &[]);
            match verdict {
                "refuse" => assert!(judged.is_err(), "{line}"),
                "allow" => assert_eq!(judged, Ok(()), "{line}"),
                other => panic!("unknown verdict {other}"),
            }
            count += 1;
        }
        assert!(count > 150, "{count} addresses read");
    }

    #[test]
    fn exceptions_hold_for_the_mapped_form_and_nothing_else() {
        let allow: Vec<IpNet> =
            ["127.0.0.0/8", "fd00:1::/32"].map(|net| net.parse().expect("a network")).into();
        for (address, allowed) in [
            ("127.0.0.1", true),
            ("::ffff:127.0.0.1", true),
            ("fd00:1::7", true),
            ("::1", false),
            ("64:ff9b::7f00:1", false),
            ("2002:7f00:1::", false),
            ("10.0.0.1", false),
            ("fd00:2::7", false),
        ] {
            assert_eq!(
                judge(address.parse().expect(address), &allow).is_ok(),
                allowed,
                "{address}"
            );
        }
    }

    #[test]
    fn nat64_is_judged_by_what_it_carries() {
        assert_eq!(judge("64:ff9b::8.8.8.8".parse().expect("an address"), &[]), Ok(()));
        let metadata = "64:ff9b::169.254.169.254".parse().expect("an address");
        assert_eq!(judge(metadata, &[]), judge("169.254.169.254".parse().expect("one"), &[]));
    }

    /// No IPv4 address becomes reachable by being written as an IPv6 one.
    #[test]
    fn forms_that_carry_ipv4_are_no_way_around() {
        for high in 0..=u16::MAX {
            let address = Ipv4Addr::from(u32::from(high) << 16 | 1);
            let [a, b] = [high, 1];
            let judged = judge(address.into(), &[]);
            assert_eq!(judge(address.to_ipv6_mapped().into(), &[]), judged, "{address}");
            let nat64 = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, a, b);
            assert_eq!(judge(nat64.into(), &[]), judged, "{nat64}");
            for refused in [
                Ipv6Addr::new(0, 0, 0, 0, 0, 0, a, b),
                Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, a, b),
                Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, a, b),
                Ipv6Addr::new(0x2002, a, b, 0, 0, 0, 0, 1),
                Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, !a, !b),
            ] {
                assert!(judge(refused.into(), &[]).is_err(), "{refused}");
            }
        }
    }
}
