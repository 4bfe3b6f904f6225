//! Where a block's reward goes: an address becomes the script that pays it.

use crate::pool::base58::{self, Base58Error};
use serde::Serialize;
use std::fmt;
use thiserror::Error;

/// Longest address that is looked at (BIP 173: 90 characters).
const LONGEST: usize = 90;

/// Which chain of blocks a node follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// The real one.
    Main,
    /// Test networks, version 3 and 4: same addresses.
    Test,
    /// Blocks signed by their makers.
    Signet,
    /// A private chain for tests.
    Regtest,
}

impl Network {
    /// Takes the `chain` of `getblockchaininfo`.
    pub fn of_chain(name: &str) -> Option<Self> {
        Some(match name {
            "main" => Self::Main,
            "test" | "testnet4" => Self::Test,
            "signet" => Self::Signet,
            "regtest" => Self::Regtest,
            _ => return None,
        })
    }

    /// Prefix of its segwit addresses (BIP 173).
    fn human_readable_part(self) -> &'static str {
        match self {
            Self::Main => "bc",
            Self::Test | Self::Signet => "tb",
            Self::Regtest => "bcrt",
        }
    }

    /// First byte of its addresses paying a key hash, and of those paying a script hash.
    fn base58_versions(self) -> (u8, u8) {
        match self {
            Self::Main => (0x00, 0x05),
            _ => (0x6f, 0xc4),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Main => "main",
            Self::Test => "test",
            Self::Signet => "signet",
            Self::Regtest => "regtest",
        })
    }
}

/// Why a payout address cannot be paid.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AddressError {
    /// Neither form.
    #[error("payout address `{0}` is no Bitcoin address: {1}; copy it again from the wallet")]
    Malformed(String, &'static str),
    /// Good on another network.
    #[error("payout address `{address}` is not of the network `{network}` that the node follows")]
    WrongNetwork {
        /// The address.
        address: String,
        /// The node's network.
        network: Network,
    },
    /// A witness program that no rule of today protects.
    #[error(
        "payout address `{address}` has witness version {version}: anyone could spend it today"
    )]
    UnknownWitness {
        /// The address.
        address: String,
        /// Its version.
        version: u8,
    },
}

/// Script that pays `address` on `network`: P2WPKH, P2WSH and P2TR (BIP 173, BIP 350), P2PKH and P2SH (base58check).
pub fn payout_script(address: &str, network: Network) -> Result<Box<[u8]>, AddressError> {
    if address.len() > LONGEST || !address.is_ascii() {
        let shown = address.chars().take(LONGEST).collect();
        return Err(AddressError::Malformed(
            shown,
            "too long, or not plain letters and digits",
        ));
    }
    let prefix = address
        .rsplit_once('1')
        .map(|(prefix, _)| prefix.to_ascii_lowercase());
    if prefix.is_some_and(|prefix| matches!(prefix.as_str(), "bc" | "tb" | "bcrt")) {
        segwit_script(address, network)
    } else {
        base58_script(address, network)
    }
}

fn segwit_script(address: &str, network: Network) -> Result<Box<[u8]>, AddressError> {
    let (prefix, version, program) = bech32::segwit::decode(address).map_err(|_| {
        AddressError::Malformed(address.to_owned(), "its checksum or its length is wrong")
    })?;
    if prefix.to_lowercase() != network.human_readable_part() {
        return Err(AddressError::WrongNetwork {
            address: address.to_owned(),
            network,
        });
    }
    let opcode = match (version.to_u8(), program.len()) {
        (0, 20 | 32) => 0x00,
        (1, 32) => OP_1,
        (version, _) => {
            return Err(AddressError::UnknownWitness {
                address: address.to_owned(),
                version,
            });
        }
    };
    Ok([&[opcode, program.len() as u8], program.as_slice()]
        .concat()
        .into())
}

fn base58_script(address: &str, network: Network) -> Result<Box<[u8]>, AddressError> {
    let (version, hash) = base58check(address)
        .map_err(|reason| AddressError::Malformed(address.to_owned(), reason))?;
    let (key_hash, script_hash) = network.base58_versions();
    if version == key_hash {
        Ok([
            &[OP_DUP, OP_HASH160, 20],
            hash.as_slice(),
            &[OP_EQUALVERIFY, OP_CHECKSIG],
        ]
        .concat()
        .into())
    } else if version == script_hash {
        Ok([&[OP_HASH160, 20], hash.as_slice(), &[OP_EQUAL]]
            .concat()
            .into())
    } else {
        Err(AddressError::WrongNetwork {
            address: address.to_owned(),
            network,
        })
    }
}

const OP_1: u8 = 0x51;
const OP_DUP: u8 = 0x76;
const OP_EQUAL: u8 = 0x87;
const OP_EQUALVERIFY: u8 = 0x88;
const OP_HASH160: u8 = 0xa9;
const OP_CHECKSIG: u8 = 0xac;

/// Version byte, 20 bytes of hash, 4 of checksum.
const BASE58_BYTES: usize = 25;

fn base58check(text: &str) -> Result<(u8, [u8; 20]), &'static str> {
    let bytes = base58::decode_check::<BASE58_BYTES>(text).map_err(|error| match error {
        Base58Error::Shape => "it has a letter that addresses do not have, or a wrong length",
        Base58Error::Checksum => "its checksum is wrong",
    })?;
    let [version, hash @ .., _, _, _, _] = bytes;
    Ok((version, hash))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bitcoin::address::NetworkUnchecked;
    use proptest::prelude::*;

    fn hex(script: &[u8]) -> String {
        bitcoin::hex::DisplayHex::to_lower_hex_string(script)
    }

    /// Addresses of BIP 173, BIP 350 and, in base58, of Bitcoin's genesis block and Bitcoin Core's address tests.
    #[test]
    fn each_kind_of_address_becomes_its_script() {
        for (address, network, script) in [
            (
                "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",
                Network::Main,
                "0014751e76e8199196d454941c45d1b3a323f1433bd6",
            ),
            (
                "tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7",
                Network::Test,
                "00201863143c14c5166804bd19203356da136c985678cd4d27a1b8c6329604903262",
            ),
            (
                "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
                Network::Main,
                "512079be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
            ),
            (
                "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080",
                Network::Regtest,
                "0014751e76e8199196d454941c45d1b3a323f1433bd6",
            ),
            (
                "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
                Network::Main,
                "76a91462e907b15cbf27d5425399ebf6f0fb50ebb88f1888ac",
            ),
            (
                "3P14159f73E4gFr7JterCCQh9QjiTjiZrG",
                Network::Main,
                "a914e9c3dd0c07aac76179ebc76a6c78d4d67c6c160a87",
            ),
            (
                "mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn",
                Network::Regtest,
                "76a914243f1394f44554f4ce3fd68649c19adc483ce92488ac",
            ),
        ] {
            let paid = payout_script(address, network).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(hex(&paid), script, "{address}");
        }
    }

    #[test]
    fn an_address_of_another_network_is_refused() {
        for (address, network) in [
            (
                "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
                Network::Regtest,
            ),
            (
                "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080",
                Network::Main,
            ),
            ("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", Network::Test),
            ("mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn", Network::Main),
        ] {
            let error = payout_script(address, network).expect_err(address);
            assert!(
                matches!(error, AddressError::WrongNetwork { .. }),
                "{error}"
            );
        }
    }

    #[test]
    fn damaged_addresses_are_refused() {
        for address in [
            "",
            "1",
            "bc1",
            "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5",
            // A version 1 program under the checksum of version 0 (BIP 350).
            "bc1p38j9r5y49hruaue7wxjce0updqjuyyx0kh56v8s25huc6995vvpql3jow4",
            "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb",
            "11A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
            "1A1zP1eP5QGefi2DMPTfTL5SLmv7Divf0a",
            "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfN\u{e4}",
            "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4 ",
        ] {
            let error = payout_script(address, Network::Main).expect_err(address);
            assert!(
                matches!(error, AddressError::Malformed(..)),
                "{address}: {error}"
            );
        }
    }

    #[test]
    fn a_witness_version_without_rules_is_refused() {
        // BIP 350's valid address of version 16.
        let error = payout_script("BC1SW50QGDZ25J", Network::Main).expect_err("unsafe");
        assert!(matches!(
            error,
            AddressError::UnknownWitness { version: 16, .. }
        ));
    }

    proptest! {
        #[test]
        fn any_text_is_an_address_or_an_error(text in ".{0,100}") {
            let _ = payout_script(&text, Network::Main);
        }

        #[test]
        fn what_another_library_encodes_is_paid_alike(hash in any::<[u8; 20]>(), script_hash: bool) {
            let version = if script_hash { 0xc4 } else { 0x6f };
            let payload = [&[version], hash.as_slice()].concat();
            let text = bitcoin::base58::encode_check(&payload);
            let theirs = text
                .parse::<bitcoin::Address<NetworkUnchecked>>()
                .unwrap()
                .require_network(bitcoin::Network::Regtest)
                .unwrap()
                .script_pubkey();
            let ours = payout_script(&text, Network::Regtest).unwrap();
            prop_assert_eq!(ours.as_ref(), theirs.as_bytes());
        }
    }
}
