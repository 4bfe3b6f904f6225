//! A network of addresses, as `192.0.2.0/24`.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;

/// Addresses that share their first bits; a single one shares all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Whether an address is in it. An IPv4 address may come dressed as IPv6.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let differing = u32::from(own) ^ u32::from(other);
                differing.leading_zeros() >= u32::from(self.bits)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let differing = u128::from(own) ^ u128::from(other);
                differing.leading_zeros() >= u32::from(self.bits)
            }
            _ => false,
        }
    }
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let wrong = || {
            format!(
                "`{text}` is no network; write an address, with the bits that count as in \"192.0.2.0/24\""
            )
        };
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text.as_str(), None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.parse().map_err(|_| wrong())?,
            None => most,
        };
        if bits > most {
            return Err(wrong());
        }
        Ok(Self { address, bits })
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.address, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn network(text: &str) -> Network {
        Network::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn an_address_is_in_the_networks_that_share_its_first_bits() {
        let inside = |text: &str, address: &str| network(text).contains(address.parse().unwrap());
        assert!(inside("192.0.2.0/24", "192.0.2.255") && !inside("192.0.2.0/24", "192.0.3.0"));
        assert!(inside("0.0.0.0/0", "8.8.8.8") && !inside("0.0.0.0/0", "::1"));
        assert!(inside("192.0.2.7", "::ffff:192.0.2.7") && !inside("192.0.2.7", "192.0.2.6"));
        assert!(inside("2001:db8::/32", "2001:db8:ffff::1") && !inside("::1", "::2"));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "a",
            "1.2.3.4/33",
            "::/129",
            "1.2.3.4/",
            "1.2.3/8",
            "1.2.3.4/-1",
        ] {
            assert!(Network::try_from(text.to_owned()).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_printed_so_that_it_reads_back(text in "[0-9a-f:./]{0,24}") {
            if let Ok(network) = Network::try_from(text) {
                prop_assert_eq!(Network::try_from(network.to_string()), Ok(network));
                prop_assert!(network.contains(network.address));
            }
        }
    }
}
