//! What the frames of supplies and voltage controllers have in common: they begin with 55 AA.

/// Adds a byte to a frame, which begins anew where the preamble does not fit; gives the byte behind the preamble, if
/// there is one, which is the length or the command.
pub fn push(frame: &mut Vec<u8>, byte: u8) -> Option<u8> {
    let expected = [0x55, 0xAA].get(frame.len());
    if expected.is_some_and(|expected| *expected != byte) {
        frame.clear();
        if byte != 0x55 {
            return None;
        }
    }
    frame.push(byte);
    frame.get(2).copied()
}
