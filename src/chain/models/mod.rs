//! The chip models that are known, a file each.

mod bm1362;
mod bm1366;
mod bm1368;
mod bm1370;
mod bm1397;
mod l7;

pub use bm1362::BM1362;
pub use bm1366::BM1366;
pub use bm1368::BM1368;
pub use bm1370::BM1370;
pub use bm1397::{BM1397, BM1397_ONE_MIDSTATE};
pub use l7::L7;

use super::model::ChipModel;

/// All models.
pub static ALL: [&ChipModel; 7] = [
    &BM1362,
    &BM1366,
    &BM1368,
    &BM1370,
    &BM1397,
    &BM1397_ONE_MIDSTATE,
    &L7,
];

/// The model of a name in a board file.
pub fn by_name(name: &str) -> Option<&'static ChipModel> {
    ALL.into_iter().find(|model| model.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_model_is_found_by_its_name_and_no_two_share_one() {
        for model in ALL {
            assert!(std::ptr::eq(by_name(model.name).expect("a model"), model));
        }
        assert!(by_name("BM9999").is_none());
    }
}
