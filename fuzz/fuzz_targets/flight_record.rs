#![no_main]

use cgminer_rs::flight::decode;
use libfuzzer_sys::fuzz_target;

// A file as a death or a disk may leave it, or somebody may send it in.
fuzz_target!(|bytes: &[u8]| {
    let _ = decode(bytes);
    let mut file = b"CGFLIGH1".to_vec();
    file.extend_from_slice(bytes);
    let _ = decode(&file);
});
