//! Tells a flight record in the words of defmt's own decoder: `cgminer-rs-defmt FILE`.
//!
//! Of this project's code nothing is used: the ring is read here by its description in `hal/src/flight/mod.rs`. The decoder takes its
//! format strings from an ELF file alone, where the linker has put each as the name of a symbol whose address is the index in the
//! frames. The flight recorder keeps them in the ring's head, so such a file is made here of that.
#![forbid(unsafe_code)]

use defmt_decoder::Table;
use object::write::{Object, StandardSegment, Symbol, SymbolSection};
use object::{
    Architecture, BinaryFormat, Endianness, SectionKind, SymbolFlags, SymbolKind, SymbolScope,
};
use serde_json::json;
use std::error::Error;

const HEAD: usize = 4096;
const SLOT: usize = 32;
/// Format strings stand before the first interned string, which is this one.
const FIRST_INTERNED: &str = "?";

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os()
        .nth(1)
        .ok_or("say cgminer-rs-defmt FILE")?;
    let bytes = std::fs::read(path)?;
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    let table_end = 16 + number(12) as usize;
    let strings: Vec<&str> = std::str::from_utf8(&bytes[16..table_end])?
        .split('\n')
        .collect();
    let table = Table::parse(&elf(&strings)?)?.ok_or("no table")?;

    let mut slots: Vec<&[u8]> = bytes[HEAD..].chunks_exact(SLOT).collect();
    slots.sort_by_key(|slot| u64::from_le_bytes(slot[..8].try_into().expect("eight bytes")));
    for slot in slots {
        let number = u64::from_le_bytes(slot[..8].try_into()?);
        // Empty, or just being written.
        if number == 0 || check(&slot[..8], &slot[10..]).to_le_bytes() != slot[8..10] {
            continue;
        }
        // Behind number and check is the frame.
        let (frame, consumed) = table.decode(&slot[10..])?;
        if slot[10 + consumed..].iter().any(|byte| *byte != 0) {
            return Err(format!("event {number} goes on behind its frame").into());
        }
        let time = frame.display_timestamp().ok_or("no time")?;
        println!("{number} {time} {}", frame.display_message());
    }
    Ok(())
}

/// CRC-16 with polynomial 0x1021, begun with 0xffff.
fn check(number: &[u8], payload: &[u8]) -> u16 {
    let mut crc = 0xffff_u16;
    for byte in number.iter().chain(payload) {
        crc ^= u16::from(*byte) << 8;
        for _ in 0..8 {
            let out = crc & 0x8000 != 0;
            crc <<= 1;
            if out {
                crc ^= 0x1021;
            }
        }
    }
    crc
}

/// A file as a program with defmt in it would be.
fn elf(strings: &[&str]) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut object = Object::new(BinaryFormat::Elf, Architecture::Arm, Endianness::Little);
    let segment = object.segment_name(StandardSegment::Debug).to_vec();
    let section = object.add_section(segment, b".defmt".to_vec(), SectionKind::Other);
    object.append_section_data(section, &vec![0; strings.len() + 1], 1);
    let mut add = |name: String, value: u64, section: SymbolSection| {
        object.add_symbol(Symbol {
            name: name.into_bytes(),
            value,
            size: 1,
            kind: SymbolKind::Data,
            scope: SymbolScope::Linkage,
            weak: false,
            section,
            flags: SymbolFlags::None,
        });
    };
    add("_defmt_version_ = 4".into(), 0, SymbolSection::Absolute);
    add("_defmt_encoding_ = raw".into(), 0, SymbolSection::Absolute);
    let mut tag = "defmt_info";
    for (index, string) in strings.iter().enumerate() {
        if *string == FIRST_INTERNED {
            tag = "defmt_str";
        }
        add(
            name(tag, string, index),
            index as u64,
            SymbolSection::Section(section),
        );
    }
    let stamp = name("defmt_timestamp", "{=u64:us}", strings.len());
    add(stamp, strings.len() as u64, SymbolSection::Section(section));
    Ok(object.write()?)
}

/// What defmt's macros call a symbol.
fn name(tag: &str, data: &str, number: usize) -> String {
    let disambiguator = number.to_string();
    json!({"package": "cgminer-rs", "tag": tag, "data": data, "disambiguator": disambiguator, "crate_name": "cgminer_rs"}).to_string()
}
