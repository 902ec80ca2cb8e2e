//! A set of address ranges, asked of with every redirect.

use std::net::IpAddr;

use ipnet::IpNet;

/// The addresses that any of some prefixes contains.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Prefixes {
    /// First and last address of each range, in order, none overlapping another. IPv4 comes before IPv6, and no range
    /// reaches from one into the other.
    ranges: Vec<(IpAddr, IpAddr)>,
}

impl FromIterator<IpNet> for Prefixes {
    fn from_iter<I: IntoIterator<Item = IpNet>>(prefixes: I) -> Self {
        let mut ranges: Vec<_> = prefixes.into_iter().map(|prefix| (prefix.network(), prefix.broadcast())).collect();
        ranges.sort_unstable();
        // Of two prefixes that overlap one contains the other, and the larger one came first.
        ranges.dedup_by(|(_, end), (_, before)| *end <= *before);
        ranges.shrink_to_fit();
        Prefixes { ranges }
    }
}

impl Prefixes {
    /// Returns whether an address is in one of the prefixes, in logarithmic time.
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        let after = self.ranges.partition_point(|(start, _)| *start <= address);
        after.checked_sub(1).and_then(|index| self.ranges.get(index)).is_some_and(|(_, end)| address <= *end)
    }

    /// Returns of how many ranges the set is made.
    pub(super) fn len(&self) -> usize {
        self.ranges.len()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn set(prefixes: &[&str]) -> Prefixes {
        prefixes.iter().map(|prefix| prefix.parse::<IpNet>().unwrap()).collect()
    }

    #[test]
    fn a_prefix_holds_its_first_and_its_last_address_and_no_other() {
        let set = set(&["192.0.2.128/25", "2001:db8::/32"]);
        for (address, inside) in [
            ("192.0.2.127", false),
            ("192.0.2.128", true),
            ("192.0.2.255", true),
            ("192.0.3.0", false),
            ("2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", false),
            ("2001:db8::", true),
            ("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", true),
            ("2001:db9::", false),
        ] {
            assert_eq!(set.contains(address.parse().unwrap()), inside, "{address}");
        }
    }

    #[test]
    fn everything_of_one_family_is_nothing_of_the_other() {
        assert!(set(&["0.0.0.0/0"]).contains("255.255.255.255".parse().unwrap()));
        assert!(!set(&["0.0.0.0/0"]).contains("::".parse().unwrap()));
        assert!(!set(&["::/0"]).contains("255.255.255.255".parse().unwrap()));
        assert!(!Prefixes::default().contains("0.0.0.0".parse().unwrap()));
    }

    /// splitmix64: the same sequence on every machine.
    struct Random(u64);

    impl Random {
        fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        }

        /// An address in a small part of the space, so that prefixes and addresses meet.
        fn address(&mut self) -> IpAddr {
            let low = self.next();
            if low.is_multiple_of(2) {
                IpAddr::from(0x0a00_0000_u32.wrapping_add(low as u32 >> 20).to_be_bytes())
            } else {
                IpAddr::from((0x2001_0db8_u128 << 96 | u128::from(low >> 52)).to_be_bytes())
            }
        }

        fn prefix(&mut self) -> IpNet {
            let address = self.address();
            let bits = if address.is_ipv4() { 32 } else { 128 };
            // Mostly short tails, sometimes the whole space.
            let tail = if self.next().is_multiple_of(200) { self.next() % (bits + 1) } else { self.next() % 10 };
            IpNet::new(address, (bits - tail) as u8).unwrap()
        }
    }

    #[test]
    fn the_look_up_finds_what_a_scan_of_the_prefixes_finds() {
        let mut found = [0u32; 2];
        for seed in 0..300 {
            let mut random = Random(seed);
            let prefixes: Vec<IpNet> = (0..random.next() % 40).map(|_| random.prefix()).collect();
            let set: Prefixes = prefixes.iter().copied().collect();
            let edges = prefixes.iter().flat_map(|prefix| [prefix.network(), prefix.broadcast()]);
            let addresses: Vec<IpAddr> = edges.chain((0..300).map(|_| random.address())).collect();
            for address in addresses {
                let scanned = prefixes.iter().any(|prefix| prefix.contains(&address));
                assert_eq!(set.contains(address), scanned, "seed {seed}: {address} in {prefixes:?}");
                found[usize::from(scanned)] += 1;
            }
        }
        assert!(found.iter().all(|count| *count > 10_000), "neither answer is rare: {found:?}");
    }
}
