//! Texts that are packed inside the program (`build.rs`), and unpacked each time that somebody asks for one.

use super::failure::Failure;
use super::routes::Answer;
use miniz_oxide::inflate::decompress_to_vec_with_limit;
use std::borrow::Cow;

/// No text is longer.
const LONGEST: usize = 256 * 1024;

/// A text as `build.rs` has left it.
pub struct Packed(&'static [u8]);

impl Packed {
    /// What [`packed`] makes of a name.
    pub const fn new(bytes: &'static [u8]) -> Self {
        Self(bytes)
    }

    /// The text; `None` if what is inside the program is damaged.
    pub fn text(&self) -> Option<Vec<u8>> {
        decompress_to_vec_with_limit(self.0, LONGEST).ok()
    }

    /// The text as an answer.
    pub fn answer(&self, content_type: &'static str) -> Answer {
        match self.text() {
            Some(body) => Answer {
                status: 200,
                content_type: Cow::Borrowed(content_type),
                body,
            },
            None => Failure::new(
                500,
                "internal",
                "this text is damaged inside the program",
                "install the program anew",
            )
            .into(),
        }
    }
}

/// A file that `build.rs` packs, by its name alone.
macro_rules! packed {
    ($name:literal) => {
        $crate::api::packed::Packed::new(include_bytes!(concat!(env!("OUT_DIR"), "/", $name)))
    };
}
pub(crate) use packed;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_comes_out_as_it_was() {
        let text = include_bytes!("../../docs/openapi.json");
        let packed = packed!("openapi.json");
        assert_eq!(packed.text().unwrap(), text);
        assert!(packed.0.len() * 5 < text.len(), "{}", packed.0.len());
        assert!(text.len() * 2 < LONGEST);
    }

    #[test]
    fn a_damaged_text_is_told_and_not_served() {
        let answer = Packed::new(b"no deflate").answer("text/html");
        assert_eq!(answer.status, 500);
        assert!(String::from_utf8(answer.body).unwrap().contains("damaged"));
    }
}
