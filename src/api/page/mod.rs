//! The page for people: a few files inside the program, a script for each idea; no other host, no script that is not ours.
//!
//! The page puts every text of the machine into the document as text, never as markup, so a pool's words stay words; and
//! the Content-Security-Policy of the gateway would stop them otherwise.

use super::packed::{Packed, packed};
use super::routes::Answer;

struct File {
    path: &'static str,
    content_type: &'static str,
    text: Packed,
}

static FILES: [File; 13] = [
    File {
        path: "/",
        content_type: "text/html; charset=utf-8",
        text: packed!("page.html"),
    },
    File {
        path: "/page.css",
        content_type: "text/css; charset=utf-8",
        text: packed!("page.css"),
    },
    script("/page.js", packed!("page.js")),
    script("/page/text.js", packed!("text.js")),
    script("/page/ask.js", packed!("ask.js")),
    script("/page/status.js", packed!("status.js")),
    script("/page/chips.js", packed!("chips.js")),
    script("/page/charts.js", packed!("charts.js")),
    script("/page/pools.js", packed!("pools.js")),
    script("/page/controls.js", packed!("controls.js")),
    script("/page/owner.js", packed!("owner.js")),
    script("/page/firmware.js", packed!("firmware.js")),
    script("/page/tuner.js", packed!("tuner.js")),
];

const fn script(path: &'static str, text: Packed) -> File {
    File {
        path,
        content_type: "text/javascript; charset=utf-8",
        text,
    }
}

/// The file at a path.
pub fn answer(path: &str) -> Option<Answer> {
    let file = FILES.iter().find(|file| file.path == path)?;
    Some(file.text.answer(file.content_type))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All files, as they are served.
    fn served() -> Vec<(&'static str, String)> {
        let text = |file: &File| String::from_utf8(file.text.text().unwrap()).unwrap();
        FILES.iter().map(|file| (file.path, text(file))).collect()
    }

    #[test]
    fn nothing_comes_from_another_host_and_nothing_stands_inline() {
        for (path, text) in served() {
            for forbidden in [
                "http:",
                "https:",
                "//cdn",
                "<script>",
                "style=",
                "onclick",
                "javascript:",
            ] {
                assert!(!text.contains(forbidden), "{path} holds {forbidden}");
            }
        }
    }

    #[test]
    fn texts_of_the_machine_can_only_become_text() {
        for forbidden in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "Function(",
            "srcdoc",
            "DOMParser",
            "setAttribute(\"on",
            "createContextualFragment",
        ] {
            for (path, text) in &served()[2..] {
                assert!(!text.contains(forbidden), "{path}: {forbidden}");
            }
        }
    }

    #[test]
    fn the_page_is_small() {
        // Not even packed.
        let bytes: usize = served().iter().map(|(_, text)| text.len()).sum();
        assert!(bytes < 60 * 1024, "{bytes} bytes");
    }

    #[test]
    fn each_place_that_the_script_fills_stands_in_the_page() {
        let files = served();
        let page = &files[0].1;
        let scripts: String = files[2..].iter().map(|(_, text)| &**text).collect();
        let places: Vec<&str> = scripts
            .split("at(\"")
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap())
            .collect();
        assert!(places.len() > 10, "{places:?}");
        for place in places {
            assert!(page.contains(&format!("id=\"{place}\"")), "{place}");
        }
    }

    #[test]
    fn each_script_that_another_one_names_is_there() {
        for (path, text) in &served()[2..] {
            for line in text.lines().filter(|line| line.starts_with("import ")) {
                let wanted = line.split('"').nth(1).unwrap();
                assert!(answer(wanted).is_some(), "{path} imports {wanted}");
            }
        }
    }
}
